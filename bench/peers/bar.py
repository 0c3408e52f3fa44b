"""A bar: a figure, the least or the most that it should be, and how it is found in a run."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from .book import Book

_HOLDS = {">=": operator.ge, "<=": operator.le, "<": operator.lt}


class Said(NamedTuple):
    """A bar's figure, and what else is worth a word."""

    value: float
    beside: str = ""


class Bar(NamedTuple):
    """A figure, and the least or the most that it should be."""

    #: By which why.toml knows it.
    name: str
    what: str
    #: ">=", "<=" or "<".
    sign: str
    bound: float
    measured: Callable[[Book], Said]
    #: How its numbers are written.
    form: str = ".2f"

    @property
    def bound_text(self) -> str:
        return f"{self.sign} {self.bound:{self.form}}"

    def is_met(self, value: float) -> bool:
        return bool(_HOLDS[self.sign](value, self.bound))
