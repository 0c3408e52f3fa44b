"""Arguments that do not fit, or that JSON can't carry: refused, with the place named."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from carried import MOST, Line, Order, anything, carried, dumped, everything, pay

from wsup import ArgumentsError, ArgumentsTooLarge
from wsup.signature import Signature


class Point(msgspec.Struct):
    x: int


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((1, "2.5"), {}, "argument 'amount': Expected `float`, got `str`"),
        ((1,), {}, "argument 'amount' is missing"),
        ((1, 2.5), {"paid": 1}, "unknown argument 'paid'; it takes order, amount, note"),
        ((1, 2.5), {"order": 1}, "argument 'order' is given twice"),
        ((1, 2.5, "a", "b"), {}, "takes 3 positional arguments, 4 were given"),
        ((1, math.nan), {}, "argument 'amount': JSON has no number nan"),
        ((1, 2.5, "\ud800"), {}, r"argument 'note': '\ud800' holds a lone surrogate"),
    ],
)
def test_what_does_not_fit_is_named(
    args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    with pytest.raises(ArgumentsError) as caught:
        carried(pay, *args, **kwargs)
    assert "task shop.task" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"x": [1, math.inf]}, "argument 'a.x[1]': JSON has no number inf"),
        ([Point(1), Line(math.nan)], "argument 'a[1].price': JSON has no number nan"),  # type: ignore[arg-type]
        ([{"k": object()}], "argument 'a[0].k': object can't be encoded as JSON"),
        ({(1, 2): 3}, "Only dicts with str-like or number-like keys"),
        (msgspec.Raw(b"{broken"), "JSON is malformed"),
    ],
)
def test_untyped_values_that_json_cannot_carry_are_found(value: object, says: str) -> None:
    with pytest.raises(ArgumentsError) as caught:
        carried(anything, value)
    assert says in str(caught.value)


def test_a_value_that_contains_itself() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ArgumentsError, match="contains itself"):
        carried(anything, circle)


def test_a_place_deep_in_an_argument_is_told() -> None:
    def task(order: Order) -> None: ...

    with pytest.raises(ArgumentsError, match=r"argument 'order.lines\[0\].price': Expected"):
        carried(task, {"id": str(uuid.UUID(int=1)), "lines": [{"price": []}]})


def test_what_kwargs_collect_is_checked_too() -> None:
    with pytest.raises(ArgumentsError, match="argument 'due': Invalid RFC3339 encoded date"):
        carried(everything, 1, due="tomorrow")


def test_a_null_that_is_no_nan_passes() -> None:
    assert carried(anything, None, "null") == (None, "null")


def test_too_large() -> None:
    with pytest.raises(ArgumentsTooLarge, match=r"take 10,008 bytes of JSON, the limit is 10,000"):
        carried(anything, "x" * MOST)


def test_arguments_that_came_in_otherwise_are_checked_when_the_job_runs() -> None:
    signature = Signature("shop.task", pay)
    for text in ('{"order":1}', "[]", "{", '{"order":1,"amount":"x"}', ""):
        with pytest.raises(ArgumentsError, match=r"task shop\.task"):
            signature.call(text)


def test_blanks_of_raw_json_do_not_survive() -> None:
    raw = msgspec.Raw(b'{\n\t"x":\r1 }')
    assert "\n" not in dumped(Signature("t", anything), raw)
    assert carried(anything, raw) == ({"x": 1}, None)


# many -----------------------------------------------------------------------------------------


def many(function: Callable[..., Any], items: list[dict[str, object]]) -> list[bytes]:
    return Signature("shop.task", function).dump_many(items, MOST, 100)


def test_many_are_dumped_as_one_would_be() -> None:
    items: list[dict[str, object]] = [
        {"a": value}
        for value in list[object]((1, None, "null", "\n\\", msgspec.Raw(b"[\n1]"), [], "ü"))
    ]
    signature = Signature("t", anything)
    assert signature.dump_many(items, MOST, 0) == [signature.dump(item, MOST) for item in items]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"a": math.nan}, "argument 'a': JSON has no number nan"),
        ({"a": object()}, "argument 'a': object can't be encoded"),
        ({"b": 1}, "argument 'a' is missing"),
        ({"a": 1, "c": 1}, "unknown argument 'c'"),
        ({"a": "x" * MOST}, "bytes of JSON"),
        ({"a": "\ud800"}, "lone surrogate"),
    ],
)
def test_the_bad_one_of_many_is_named(bad: dict[str, object], says: str) -> None:
    with pytest.raises(ArgumentsError, match=r"item 101: task shop\.task") as caught:
        many(anything, [{"a": None}, bad, {"a": 1}])
    assert says in str(caught.value)
