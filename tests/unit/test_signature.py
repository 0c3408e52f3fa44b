"""Arguments: bound to a signature, checked, and carried over as their types."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import pytest
from carried import Line, Order, anything, carried, dumped, everything, pay

from wsup import ResultError, TaskError
from wsup.signature import Signature

if TYPE_CHECKING:
    from fractions import Fraction

# what arrives ---------------------------------------------------------------------------------


def test_arguments_travel_by_name_as_one_object() -> None:
    assert dumped(Signature("t", pay), 1, 2.5, note="x") == '{"order":1,"amount":2.5,"note":"x"}'


def test_defaults_are_those_of_the_code_that_runs_the_job() -> None:
    assert dumped(Signature("t", pay), 1, 2.5) == '{"order":1,"amount":2.5}'
    assert carried(pay, 1, 2.5) == (1, 2.5, "none")


def test_a_default_arrives_as_the_object_that_it_is() -> None:
    sentinel: Any = object()

    def task(a: Any = sentinel, *, b: Any = sentinel) -> bool:
        return a is sentinel and b is sentinel

    assert carried(task)


@pytest.mark.parametrize(
    ("args", "kwargs", "arrived"),
    [
        ((1,), {}, (1, 2, (), False, {})),
        ((1, 3, 4, 5), {"flag": True}, (1, 3, (4, 5), True, {})),
        ((1,), {"due": date(2026, 1, 2)}, (1, 2, (), False, {"due": date(2026, 1, 2)})),
    ],
)
def test_every_kind_of_parameter(
    args: tuple[int, ...], kwargs: dict[str, Any], arrived: tuple[object, ...]
) -> None:
    assert carried(everything, *args, **kwargs) == arrived


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Line, Line(Decimal("1.10"), Line(Decimal(2)))),
        (Order, Order(uuid.UUID(int=5), [Line(Decimal("3.00"))])),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (timedelta, timedelta(days=1, seconds=2)),
        (Colour, Colour.RED),
        (dict[int, set[str]], {1: {"a", "b"}}),
        (bytes, b"\0\xff"),
        (int | None, None),
        (float, 1e308),
        (int, 2**70),
        (str, "\0\t\n\\ ü 😀"),
        (Literal["a"], "a"),
        (Annotated[int, msgspec.Meta(ge=0)], 0),
    ],
)
def test_values_arrive_as_what_they_were(kind: Any, value: object) -> None:
    def task(a: object) -> object:
        return a

    task.__annotations__["a"] = kind
    assert carried(task, value) == value


def test_an_annotation_may_name_what_is_defined_later() -> None:
    def task(a: Later) -> int:
        return a.x

    assert carried(task, Later(3)) == 3


class Later(msgspec.Struct):
    x: int


def test_without_annotations_json_types_arrive() -> None:
    assert carried(anything, [1, "a"], {"b": None}) == ([1, "a"], {"b": None})


# declarations ---------------------------------------------------------------------------------


class Foreign:
    """Nothing that msgspec knows."""


def test_an_annotation_that_json_cannot_become_is_found_before_any_job() -> None:
    def task(a: list[dict[str, Foreign]]) -> None: ...

    with pytest.raises(TaskError, match=r"task t: argument 'a': .*Foreign"):
        Signature("t", task).prepare()


def test_a_union_that_json_cannot_tell_apart() -> None:
    def task(a: Line | Order) -> None: ...

    with pytest.raises(TaskError, match="task t: argument 'a': Type unions may not"):
        Signature("t", task).prepare()


def test_an_annotation_that_exists_only_for_type_checkers() -> None:
    def task(a: Fraction) -> None: ...

    with pytest.raises(TaskError, match="can't be resolved: name 'Fraction' is not defined"):
        Signature("t", task).prepare()


def test_a_result_annotation_need_not_be_known() -> None:
    def task() -> Fraction: ...  # type: ignore[empty-body]

    assert Signature("t", task).load_result("[1]") == [1]


# results --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (date, '"2026-01-02"', date(2026, 1, 2)),
        (Foreign, "1", 1),
        (None, None, None),
        (Any, '{"a": 1}', {"a": 1}),
    ],
)
def test_a_result_comes_back_as_annotated(kind: Any, text: str | None, value: object) -> None:
    def task() -> None: ...

    task.__annotations__["return"] = kind
    assert Signature("t", task).load_result(text) == value


def test_a_result_that_is_not_what_was_annotated() -> None:
    def task() -> int: ...  # type: ignore[empty-body]

    with pytest.raises(ResultError, match="task t: the result is not what the annotation says"):
        Signature("t", task).load_result('"x"')
