"""Lists as PostgreSQL's binary arrays, packed whole.

psycopg packs a list element by element, in Python; a commit has some 4,000 elements. Here a list
of numbers is one call of `struct.pack`. Format: one dimension, a flag for NULLs, the element's
type; the length and lower bound; then for each element its length (-1: NULL) and its bytes.
"""

import struct
from collections.abc import Sequence
from typing import ClassVar

from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.types.string import TextBinaryLoader


class PackedArray(bytes):
    """Bytes that psycopg sends as they are; a subclass for each element type."""

    oid: ClassVar[int]


class BigintArray(PackedArray):
    oid = 1016


class IntegerArray(PackedArray):
    oid = 1007


class SmallintArray(PackedArray):
    oid = 1005


class RealArray(PackedArray):
    oid = 1021


class BooleanArray(PackedArray):
    oid = 1000


class TextArray(PackedArray):
    oid = 1009


_EMPTY = struct.Struct(">iiI")
_HEAD = struct.Struct(">iiIii")
_NULL = b"\xff\xff\xff\xff"


def _numbers(element: int, code: str, width: int, values: Sequence[float]) -> bytes:
    if not values:
        return _EMPTY.pack(0, 0, element)
    pairs: list[float] = [width] * (2 * len(values))
    pairs[1::2] = values
    return _HEAD.pack(1, 0, element, len(values), 1) + struct.pack(
        ">" + ("i" + code) * len(values), *pairs
    )


def bigints(values: Sequence[int]) -> BigintArray:
    return BigintArray(_numbers(20, "q", 8, values))


def integers(values: Sequence[int]) -> IntegerArray:
    return IntegerArray(_numbers(23, "i", 4, values))


def smallints(values: Sequence[int]) -> SmallintArray:
    return SmallintArray(_numbers(21, "h", 2, values))


def reals(values: Sequence[float | None]) -> RealArray:
    if None not in values:
        return RealArray(_numbers(700, "f", 4, values))  # type: ignore[arg-type]
    return RealArray(_parts(700, [None if v is None else struct.pack(">f", v) for v in values]))


def booleans(values: Sequence[bool]) -> BooleanArray:
    return BooleanArray(_parts(16, [b"\1" if v else b"\0" for v in values]))


def texts(values: Sequence[bytes | str | None]) -> TextArray:
    """Texts as str or as UTF-8 bytes."""
    if values and values.count(None) == len(values):  # as nearly always: a job without a result
        return TextArray(_HEAD.pack(1, 1, 25, len(values), 1) + _NULL * len(values))
    return TextArray(_parts(25, [v.encode() if isinstance(v, str) else v for v in values]))


def _parts(element: int, values: Sequence[bytes | None]) -> bytes:
    if not values:
        return _EMPTY.pack(0, 0, element)
    head = _HEAD.pack(1, 1, element, len(values), 1)
    length = struct.Struct(">i").pack
    return head + b"".join(
        _NULL if value is None else length(len(value)) + value for value in values
    )


class _PackedDumper(Dumper):
    format = pq.Format.BINARY

    def dump(self, obj: PackedArray) -> bytes:
        return bytes(obj)


def register(context: AdaptContext) -> None:
    """Teach a connection to send these arrays, and to leave JSON as it is."""
    context.adapters.register_loader("json", TextBinaryLoader)
    for kind in PackedArray.__subclasses__():
        dumper = type(f"{kind.__name__}Dumper", (_PackedDumper,), {"oid": kind.oid})
        context.adapters.register_dumper(kind, dumper)
