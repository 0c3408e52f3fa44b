"""Rows of the database, as commands fetch and print them."""

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.abc import Buffer

Row = dict[str, Any]


def fetch(conn: "Connection[Any]", query: str, params: Row | list[object]) -> list[Row]:
    """The rows of a statement of ours, by the names of their columns."""
    from psycopg import DataError
    from psycopg.rows import dict_row
    from psycopg.types.datetime import TimestamptzLoader

    from wsup.sql.statements import statement

    class Moments(TimestamptzLoader):
        """Python knows no infinity and no year 10,000; whoever uses SQL does."""

        def load(self, data: "Buffer") -> Any:
            try:
                return super().load(data)
            except DataError:
                return bytes(data).decode()

    cursor = conn.cursor(row_factory=dict_row)
    cursor.adapters.register_loader("timestamptz", Moments)
    return cursor.execute(statement(query), params).fetchall()


def as_json_text(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()
