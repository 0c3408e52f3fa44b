"""Functions of all kinds, whose arguments go the way of a job's."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from wsup.signature import Signature

#: Bytes that arguments may take.
MOST = 10_000


def carried(function: Callable[..., Any], *args: object, **kwargs: object) -> Any:
    """What the function gives when its arguments go the way of a job."""
    signature = Signature("shop.task", function)
    return signature.call(dumped(signature, *args, **kwargs))


def dumped(signature: Signature, *args: object, **kwargs: object) -> str:
    return signature.dump(signature.bind(args, kwargs), MOST).decode()


def pay(order: int, amount: float, note: str = "none") -> tuple[int, float, str]:
    return order, amount, note


def everything(
    a: int, /, b: int = 2, *rest: int, flag: bool = False, **more: date
) -> tuple[Any, ...]:
    return a, b, rest, flag, more


def anything(a, b=None):  # type: ignore[no-untyped-def]
    return a, b


@dataclass
class Line:
    price: Decimal
    parent: Line | None = None


class Order(msgspec.Struct):
    id: uuid.UUID
    lines: list[Line]
