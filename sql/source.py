"""PostgreSQL as the supervisor sees it: the verbs of a turn, and what keeps it going.

Two connections: one for the turns, which may go through a transaction pooler, and one that only
listens and holds the supervisor's advisory lock (`listener.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from . import arrays
from .connect import aconnect
from .settlement import Entry, Failure, columns, refusal
from .statements import statement

#: A pulled job: claim, job, attempt, task, queue, args, options.
Row = tuple[int, int, int, str, str, str, str | None]
#: SQLSTATE classes and states of an error in what was sent, not in the connection or the moment.
_DATA_ERRORS = ("22", "23", "42", "54")


class SourceLost(Exception):
    """The database can't be reached, or can't do its work, for now."""


class Pull(NamedTuple):
    """What to pull: up to `most` jobs of these queues."""

    queues: Sequence[str]
    most: int
    #: Say also that this supervisor no longer sleeps.
    wake: bool = False


@dataclass
class Turn:
    """What one turn has brought."""

    rows: list[Row] = field(default_factory=list)
    #: Results that were not accepted, because their jobs are no longer in their claims.
    refused: int = 0
    #: Seconds until the next waiting job is due; None: no job waits, or it was not asked.
    next_due: float | None = None
    #: Entries that the database would not store, each now settled as a failure.
    culprits: list[Entry] = field(default_factory=list)


@dataclass(frozen=True)
class Beat:
    alive: bool
    claimed: bool
    ready: bool
    next_due: float | None
    dead_rows: list[int]


@dataclass(frozen=True)
class Look:
    ready: bool
    next_due: float | None
    writers: list[str]


@dataclass(frozen=True)
class Peer:
    id: int
    beat: int
    lease: float
    connected: bool


@dataclass(frozen=True)
class Held:
    """A (job, attempt) pair that a claim holds."""

    claim: int
    job: int
    attempt: int


class PostgresSource:
    """One connection, used by one statement or turn at a time."""

    def __init__(self, dsn: str, *, statement_seconds: float = 30.0) -> None:
        self._dsn = dsn
        self._seconds = statement_seconds
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()
        self.supervisor = 0
        #: Whether a statement by itself runs in the isolation level that turns need.
        self._read_committed = False

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._connection.closed

    async def connect(self) -> None:
        """(Re)connect. Raises DatabaseError."""
        await self.close()
        connection = await aconnect(self._dsn, application_name="wsup supervisor")
        # Turns bring their own BEGIN, so that psycopg has no transaction to think about.
        await connection.set_autocommit(True)
        connection.prepare_threshold = 0
        arrays.register(connection)
        cursor = await connection.execute(statement("default_isolation"))
        self._read_committed = await cursor.fetchone() == ("read committed",)
        self._connection = connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def turn(
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        *,
        promote: int = 0,
    ) -> Turn:
        """Commit what is finished and pull what fits: one transaction, one round trip.

        When the database refuses the batch, it is bisected until only the culprits are left out;
        these are settled as failures. Raises SourceLost when nothing could be done; whether
        anything was committed is then unknown.
        """
        try:
            return await self._attempt(entries, pull, promote=promote)
        except psycopg.Error as error:
            if not self._is_data_error(error) or not entries:
                raise self._lost(error) from error
        turn = await self._bisect(entries)
        rest = await self.turn([], pull, promote=promote)
        turn.rows, turn.next_due = rest.rows, rest.next_due
        return turn

    async def _attempt(self, entries: Sequence[Entry], pull: Pull | None, *, promote: int) -> Turn:
        if pull is not None and not entries and not promote and self._read_committed:
            return Turn(await self._pull_alone(pull))
        settled = promoted = pulled = None
        async with self._statement() as connection:
            async with connection.pipeline():
                await connection.execute(statement("begin"))
                if entries:
                    settled = connection.cursor(row_factory=tuple_row)
                    await settled.execute(statement("settle"), columns(self.supervisor, entries))
                if promote:
                    promoted = connection.cursor(row_factory=tuple_row)
                    await promoted.execute(statement("promote"), [promote])
                if pull is not None:
                    pulled = connection.cursor(row_factory=tuple_row, binary=True)
                    await pulled.execute(statement("pull"), self._pull_parameters(pull))
                done = await connection.execute(statement("commit"))
            if done.statusmessage != "COMMIT":
                raise SourceLost(f"COMMIT was answered by {done.statusmessage}")
            turn = Turn()
            if settled is not None and (answer := await settled.fetchone()):
                turn.refused = answer[0]
            if promoted is not None and (answer := await promoted.fetchone()):
                turn.next_due = answer[1]
            if pulled is not None:
                turn.rows = await pulled.fetchall()
            return turn

    async def _pull_alone(self, pull: Pull) -> list[Row]:
        """With nothing to commit, one statement is a transaction: this is what an idle system's
        next job waits for."""
        async with self._statement() as connection:
            cursor = connection.cursor(row_factory=tuple_row, binary=True)
            await cursor.execute(statement("pull"), self._pull_parameters(pull))
            return await cursor.fetchall()

    def _pull_parameters(self, pull: Pull) -> list[object]:
        return [self.supervisor, list(pull.queues), pull.most, pull.wake]

    async def _bisect(self, entries: Sequence[Entry]) -> Turn:
        """Settle a refused batch in halves, down to the entries that can't be stored."""
        turn = Turn()
        for half in (entries[: len(entries) // 2], entries[len(entries) // 2 :]):
            if not half:
                continue
            try:
                turn.refused += (await self._attempt(half, None, promote=0)).refused
            except psycopg.Error as error:
                if not self._is_data_error(error):
                    raise self._lost(error) from error
                if len(half) == 1:
                    await self._settle_culprit(refusal(half[0], error))
                    turn.culprits.append(half[0])
                else:
                    part = await self._bisect(half)
                    turn.refused += part.refused
                    turn.culprits += part.culprits
        return turn

    async def _settle_culprit(self, failure: Failure) -> None:
        try:
            await self._attempt([failure], None, promote=0)
        except psycopg.Error as error:
            raise self._lost(error) from error

    def _is_data_error(self, error: psycopg.Error) -> bool:
        return (
            self.connected
            and error.sqlstate is not None
            and error.sqlstate.startswith(_DATA_ERRORS)
        )

    @asynccontextmanager
    async def _statement(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """The connection, for one statement or turn, within its time limit."""
        async with self._lock:
            connection = self._connection
            if connection is None or connection.closed:
                raise SourceLost("not connected")
            try:
                async with asyncio.timeout(self._seconds):
                    yield connection
            except TimeoutError:
                await self.close()  # whatever it still does, its answer is no longer waited for
                raise SourceLost(f"no answer within {self._seconds:g} s") from None
            except psycopg.Error:
                if not connection.closed:
                    await connection.rollback()
                raise

    def _lost(self, error: psycopg.Error) -> SourceLost:
        text = str(error).strip().splitlines()
        return SourceLost(text[0] if text else type(error).__name__)

    async def _row(self, name: str, parameters: Sequence[object] | dict[str, object]) -> Any:
        rows = await self._rows(name, parameters, tuple)
        return rows[0] if rows else None

    async def _rows(
        self,
        name: str,
        parameters: Sequence[object] | dict[str, object],
        make: Callable[[tuple[Any, ...]], Any],
    ) -> list[Any]:
        """Run one statement by itself. Raises SourceLost."""
        try:
            async with self._statement() as connection:
                cursor = connection.cursor(row_factory=tuple_row)
                await cursor.execute(statement(name), parameters)
                return [make(row) for row in await cursor.fetchall()] if cursor.description else []
        except psycopg.Error as error:
            raise self._lost(error) from error

    async def register(self, **columns: object) -> int:
        """Enter the supervisor's row; its id is kept for every later call."""
        self.supervisor = (await self._row("register", columns))[0]
        return self.supervisor

    async def leave(self) -> None:
        await self._row("leave", {"supervisor": self.supervisor})

    async def beat(self, **columns: object) -> Beat:
        return Beat(*await self._row("beat", {"supervisor": self.supervisor, **columns}))

    async def sleep(self, queues: Sequence[str], look_every: float) -> None:
        """Ask to be notified of new jobs in `queues`, and of those due within `look_every` s."""
        await self._row(
            "sleep",
            {"supervisor": self.supervisor, "queues": list(queues), "look_every": look_every},
        )

    async def look(self, queues: Sequence[str]) -> Look:
        return Look(*await self._row("look", [list(queues)]))

    async def peers(self) -> list[Peer]:
        return await self._rows("peers", [self.supervisor], lambda row: Peer(*row))

    async def rescue(self, dead: int, max_lost: int) -> int:
        """Give a dead supervisor's jobs to others; returns how many it held."""
        return int((await self._row("rescue", [dead, max_lost]))[0])

    async def predecessor(self, supervisor: int, host: str, pid: int) -> bool:
        """Is there still a row of that supervisor?"""
        return await self._row("predecessor", [supervisor, host, pid]) is not None

    async def own_claims(self, since: int) -> list[Held]:
        """What the database thinks this supervisor holds, in claims from number `since` on."""
        return await self._rows(
            "own_claims",
            {"supervisor": self.supervisor, "since": since},
            lambda row: Held(*row),
        )

    async def next_lane(self) -> None:
        await self._row("next_lane", [])

    async def vacuum(self, lane: int) -> int:
        """Have dead rows removed from a lane; returns how many are left.

        A role that doesn't own the lane only gets a warning; an old snapshot keeps them all.
        """
        try:
            async with self._statement() as connection:
                table = Identifier("wsup", f"ready_{lane}")
                await connection.execute(SQL("VACUUM (TRUNCATE false) {}").format(table))
        except psycopg.Error as error:
            raise self._lost(error) from error
        return int((await self._row("dead_rows", [lane]))[0])

    async def sweep(self, lane: int, most: int) -> bool:
        return bool((await self._row("sweep", [lane, most]))[0])
