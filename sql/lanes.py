"""The lanes of `ready`, and what keeps them free of dead rows."""

import psycopg
from psycopg.sql import SQL, Identifier

from .session import Session, lost


class LaneTable:
    """The statements; each raises SourceLost."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def next_lane(self) -> None:
        await self._session.row("next_lane", [])

    async def vacuum(self, lane: int) -> int:
        """Have dead rows removed from a lane; returns how many are left.

        A role that doesn't own the lane only gets a warning; an old snapshot keeps them all.
        """
        try:
            async with self._session.statement() as connection:
                table = Identifier("wsup", f"ready_{lane}")
                await connection.execute(SQL("VACUUM (TRUNCATE false) {}").format(table))
        except psycopg.Error as error:
            raise lost(error) from error
        return int((await self._session.row("dead_rows", [lane]))[0])

    async def sweep(self, lane: int, most: int) -> bool:
        return bool((await self._session.row("sweep", [lane, most]))[0])
