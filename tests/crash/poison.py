"""What a hostile task returns and raises, by name."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from wsup import Retry, Snooze


def deep(levels: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(levels):
        nested = [nested]
    return nested


RESULTS: dict[str, Callable[[], object]] = {
    "nul": lambda: "a\0b",
    "huge number": lambda: msgspec.Raw(b"1e200000"),
    "escaped surrogate": lambda: msgspec.Raw(b'"\\ud800"'),
    "surrogate": lambda: ["\ud800"],
    "nan": lambda: {"x": float("nan")},
    "infinity": lambda: -float("inf"),
    "deep": lambda: deep(100_000),
    "object": object,
    "not json": lambda: msgspec.Raw(b"{nothing"),
    "not utf-8": lambda: msgspec.Raw(b'"\xff"'),
    "raw nul": lambda: msgspec.Raw(b'"a\0b"'),
    "deep json": lambda: msgspec.Raw(b"[" * 100_000 + b"]" * 100_000),
}


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class Meta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Nameless(Exception, metaclass=Meta):
    pass


class Liar(Exception):
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")


class EmptySnooze(Snooze):
    def __init__(self) -> None:
        pass


class OddRetry(Retry):
    def __init__(self) -> None:
        self.after = "soon"  # type: ignore[assignment]


class EndlessRetry(Retry):
    def __init__(self) -> None:
        self.after = 1e300


class EndlessSnooze(Snooze):
    def __init__(self) -> None:
        self.seconds = 1e300


ERRORS: dict[str, Callable[[], BaseException]] = {
    "base": lambda: BaseException("b"),
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "generator": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "stop": lambda: StopIteration(1),
    "unprintable": Unprintable,
    "nameless": Nameless,
    "liar": Liar,
    "surrogates": lambda: Exception("\ud800\0"),
    "empty snooze": EmptySnooze,
    "odd retry": OddRetry,
    "endless snooze": EndlessSnooze,
    "endless retry": EndlessRetry,
    "no wait": lambda: Snooze(1e300),
}
