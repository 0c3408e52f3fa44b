"""Array parameters as PostgreSQL's binary format, built by struct.

psycopg dumps a list element by element, in Python: for 500 jobs that costs as much as the pull.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import Connection
    from psycopg.abc import Buffer
    from psycopg.rows import TupleRow

JSON_OID = 114
SMALLINT_OID = 21
BIGINT_OID = 20


class BigintArray(bytes):
    """A bigint[] on the wire."""


class SmallintArray(bytes):
    """A smallint[] on the wire."""


class JsonArray(bytes):
    """A json[] on the wire."""


class _WireDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> Buffer:
        return obj


class _BigintArrayDumper(_WireDumper):
    oid = 1016


class _SmallintArrayDumper(_WireDumper):
    oid = 1005


class _JsonArrayDumper(_WireDumper):
    oid = 199


class _JsonBytesLoader(Loader):
    """JSON stays the bytes that it is: whoever pulls does not parse it."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def register(connection: Connection[TupleRow]) -> None:
    """Teach `connection` the three arrays, and to leave JSON alone."""
    connection.adapters.register_dumper(BigintArray, _BigintArrayDumper)
    connection.adapters.register_dumper(SmallintArray, _SmallintArrayDumper)
    connection.adapters.register_dumper(JsonArray, _JsonArrayDumper)
    connection.adapters.register_loader("json", _JsonBytesLoader)


def bigints(values: Sequence[int]) -> BigintArray:
    """`values` as a bigint[]."""
    return BigintArray(_header(BIGINT_OID, len(values)) + _integers("q", 8, values))


def smallints(values: Sequence[int]) -> SmallintArray:
    """`values` as a smallint[]."""
    return SmallintArray(_header(SMALLINT_OID, len(values)) + _integers("h", 2, values))


def jsons(values: Sequence[bytes]) -> JsonArray:
    """JSON documents as a json[]."""
    pieces = [_header(JSON_OID, len(values))]
    for value in values:
        pieces += (len(value).to_bytes(4, "big"), value)
    return JsonArray(b"".join(pieces))


def _header(oid: int, count: int) -> bytes:
    """One dimension, no NULLs, element type, length, lower bound 1."""
    return struct.pack(">5i", 1, 0, oid, count, 1)


def _integers(code: str, width: int, values: Sequence[int]) -> bytes:
    """Each element is preceded by its width in bytes."""
    flat = [width] * (2 * len(values))
    flat[1::2] = values
    return struct.pack(">" + f"i{code}" * len(values), *flat)
