"""The lanes, and what keeps them free of dead rows."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier

from .session import Session, lost

#: The tables that have lanes, in the order of a beat's numbers of dead rows; and how many lanes.
TABLES: Final = ("ready", "blocked", "key_holder")
LANES: Final = 4


class Lane(NamedTuple):
    """One of a table's; a lane of all tables is the current one."""

    table: str
    number: int


class LaneTable:
    """The statements; each raises SourceLost."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def next_lane(self, full: Sequence[int]) -> None:
        """Have writers move on to a lane that is not full, if the current one is."""
        await self._session.row("next_lane", [list(full)])

    async def vacuum(self, lane: Lane) -> int:
        """Have dead rows removed from a lane; returns how many are left.

        A role that doesn't own the lane only gets a warning; an old snapshot keeps them all.
        """
        try:
            async with self._session.statement() as connection:
                table = Identifier("wsup", f"{lane.table}_{lane.number}")
                await connection.execute(SQL("VACUUM (TRUNCATE false) {}").format(table))
        except psycopg.Error as error:
            raise lost(error) from error
        return int((await self._session.row("dead_rows", list(lane)))[0])

    async def sweep(self, lane: Lane, most: int) -> bool:
        return bool((await self._session.row("sweep", [lane.number, most, lane.table]))[0])
