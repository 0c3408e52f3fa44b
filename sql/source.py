"""PostgreSQL as the supervisor sees it: the verbs of a turn, and what keeps it going.

Two connections: one for the turns, which may go through a transaction pooler, and one that is
direct (`listener.py`).
"""

import logging
from collections.abc import Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.rows import tuple_row

from .answers import (
    Beat,
    CancelRequest,
    Held,
    Look,
    Peer,
    Pull,
    Row,
    SourceLost,
    Turn,
    subscribed,
)
from .lanes import LaneTable
from .limits import LimitTable, PerHost, Unlimited, open_rooms
from .listener import Listener
from .notes import Note, note_columns
from .schedules import ScheduleTable
from .session import Session, lost
from .settlement import Entry, Failure, columns, refusal
from .statements import statement

log = logging.getLogger("wsup.source")

#: SQLSTATE classes and states of an error in what was sent, not in the connection or the moment.
_DATA_ERRORS = ("22", "23", "42", "54")
#: Serialization failure, deadlock: the server has undone the turn, and the same one may pass now.
_PASSING_ERRORS = ("40001", "40P01")
#: How often a turn is tried again at once after such an error.
RETRIES = 5

E = TypeVar("E", Entry, Note)


class PostgresSource:
    def __init__(
        self, dsn: str, *, listener: Listener | None = None, statement_seconds: float = 30.0
    ) -> None:
        self._session = Session(dsn, statement_seconds=statement_seconds)
        self._listener = listener
        self.schedules = ScheduleTable(self._session)
        self.limits = LimitTable(self._session)
        self.lanes = LaneTable(self._session)
        self.per_host: PerHost = Unlimited()
        self.supervisor = 0

    @property
    def connected(self) -> bool:
        return self._session.connected

    @property
    def loss(self) -> str:
        """Why there is no connection, if there is none."""
        return self._session.loss

    async def connect(self) -> None:
        """(Re)connect. Raises DatabaseError, SourceLost."""
        await self._session.connect()

    async def close(self) -> None:
        await self._session.close()

    async def turn(
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        *,
        promote: int = 0,
        notes: Sequence[Note] = (),
    ) -> Turn:
        """Commit what is finished and pull what fits: one transaction, one round trip.

        When the database refuses the batch, it is bisected until only the culprits are left out;
        these are settled as failures. Raises SourceLost when nothing could be done; whether
        anything was committed is then unknown.
        """
        try:
            if pull is not None and not entries and not promote and not notes:
                return Turn(await self._pull_alone(pull))
            return await self._persist(entries, pull, promote=promote, notes=notes)
        except psycopg.Error as error:
            if not self._is_data_error(error) or not (entries or notes):
                raise lost(error) from error
        locked = await self._take_apart(notes)
        claims = {note.claim for note in locked}
        turn = await self._bisect([entry for entry in entries if entry.claim not in claims])
        turn.deferred += [entry for entry in entries if entry.claim in claims]
        turn.deferred_notes = locked
        rest = await self.turn([], pull, promote=promote)
        turn.rows, turn.next_due = rest.rows, rest.next_due
        return turn

    async def _persist(
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        *,
        promote: int = 0,
        notes: Sequence[Note] = (),
    ) -> Turn:
        """Attempt it, again and again while others are in the way."""
        for _ in range(RETRIES):
            try:
                return await self._attempt(entries, pull, promote, notes)
            except psycopg.Error as error:
                if error.sqlstate not in _PASSING_ERRORS or not self.connected:
                    raise
        return await self._attempt(entries, pull, promote, notes)

    async def _attempt(
        self, entries: Sequence[Entry], pull: Pull | None, promote: int, notes: Sequence[Note]
    ) -> Turn:
        noted = settled = promoted = None
        pulled: list[psycopg.AsyncCursor[Row]] = []
        async with self._session.statement() as connection:
            async with connection.pipeline():
                await connection.execute(statement("begin"))
                if notes:  # first: of a job that is settled, nothing more is accepted
                    noted = connection.cursor(row_factory=tuple_row)
                    told = note_columns(self.supervisor, notes)
                    await noted.execute(statement("take_notes"), told)
                if entries:
                    settled = connection.cursor(row_factory=tuple_row)
                    await settled.execute(statement("settle"), columns(self.supervisor, entries))
                if promote:
                    promoted = connection.cursor(row_factory=tuple_row)
                    await promoted.execute(statement("promote"), [promote])
                if pull is not None:
                    pulled = await self._send_pulls(connection, pull)
                done = await connection.execute(statement("commit"))
            if done.statusmessage != "COMMIT":
                raise SourceLost(f"COMMIT was answered by {done.statusmessage}")
            turn = Turn()
            if noted is not None and (answer := await noted.fetchone()):
                turn.deferred_notes = _of_claims(notes, answer[0])
            if settled is not None and (answer := await settled.fetchone()):
                turn.refused, turn.passed, locked = answer
                turn.deferred = _of_claims(entries, locked)
            if promoted is not None and (answer := await promoted.fetchone()):
                turn.next_due = answer[1]
            for cursor in pulled:
                turn.rows += await cursor.fetchall()
            return turn

    async def _send_pulls(
        self, connection: psycopg.AsyncConnection[Any], pull: Pull
    ) -> list[psycopg.AsyncCursor[Row]]:
        sent = [connection.cursor(row_factory=tuple_row, binary=True)]
        await sent[0].execute(statement("pull"), self._pull_parameters(pull))
        if rooms := self.per_host.rooms(pull.most):
            sent += [connection.cursor(row_factory=tuple_row, binary=True)]
            where = open_rooms(self.supervisor, pull.queues, rooms)
            await sent[1].execute(statement("pull_per_host"), where)
        return sent

    async def _pull_alone(self, pull: Pull) -> list[Row]:
        """With nothing to commit, one statement is a transaction: this is what an idle system's
        next job waits for."""
        if self.per_host.tasks:
            return (await self._persist([], pull)).rows
        if self._listener is not None and self._listener.can_pull:
            return await self._listener.pull(pull)
        if not self._session.read_committed:
            return (await self._persist([], pull, promote=0)).rows
        async with self._session.statement() as connection:
            cursor = connection.cursor(row_factory=tuple_row, binary=True)
            await cursor.execute(statement("pull"), self._pull_parameters(pull))
            return await cursor.fetchall()

    def _pull_parameters(self, pull: Pull) -> list[object]:
        return [self.supervisor, subscribed(pull.queues), pull.most, pull.wake]

    def _open(self, queues: Sequence[str]) -> list[str]:
        """What may be pulled from now: those streams, too, for whose tasks there is room."""
        return subscribed(queues, [task for task, _ in self.per_host.rooms(1)])

    async def _take_apart(self, notes: Sequence[Note]) -> list[Note]:
        """Store the notes of a refused batch one by one, without those that can't be. Returns those
        of locked claims."""
        locked: list[Note] = []
        for note in notes:
            try:
                locked += (await self._persist([], None, notes=[note])).deferred_notes
            except psycopg.Error as error:
                if not self._is_data_error(error):
                    raise lost(error) from error
                log.error("job %d: what it has noted can't be stored: %s", note.job, error)
        return locked

    async def _bisect(self, entries: Sequence[Entry]) -> Turn:
        """Settle a refused batch in halves, down to the entries that can't be stored."""
        turn = Turn()
        for half in (entries[: len(entries) // 2], entries[len(entries) // 2 :]):
            if not half:
                continue
            try:
                part = await self._persist(half, None, promote=0)
            except psycopg.Error as error:
                if not self._is_data_error(error):
                    raise lost(error) from error
                if len(half) == 1:
                    part = await self._settle_culprit(refusal(half[0], error))
                    part.culprits.append(half[0])
                else:
                    part = await self._bisect(half)
            turn.refused += part.refused
            turn.passed += part.passed
            turn.deferred += part.deferred
            turn.culprits += part.culprits
        return turn

    async def _settle_culprit(self, failure: Failure) -> Turn:
        try:
            return await self._persist([failure], None, promote=0)
        except psycopg.Error as error:
            raise lost(error) from error

    def _is_data_error(self, error: psycopg.Error) -> bool:
        return (
            self.connected
            and error.sqlstate is not None
            and error.sqlstate.startswith(_DATA_ERRORS)
        )

    async def register(self, **columns: object) -> int:
        """Enter the supervisor's row; its id is kept for every later call."""
        self.supervisor = (await self._session.row("register", columns))[0]
        return self.supervisor

    async def leave(self) -> None:
        await self._session.row("leave", {"supervisor": self.supervisor})

    async def beat(self, queues: Sequence[str], **columns: object) -> Beat:
        own = {"supervisor": self.supervisor, "queues": self._open(queues)}
        return Beat(*await self._session.row("beat", {**own, **columns}))

    async def server_time(self) -> float:
        """Seconds since 1970, by the server's clock."""
        return float((await self._session.row("server_time", []))[0])

    async def sleep(self, queues: Sequence[str], look_every: float) -> None:
        """Ask to be notified of new jobs in `queues`, and of those due within `look_every` s."""
        await self._session.row(
            "sleep",
            {
                "supervisor": self.supervisor,
                "queues": subscribed(queues, self.per_host.tasks),
                "look_every": look_every,
            },
        )

    async def look(self, queues: Sequence[str]) -> Look:
        return Look(*await self._session.row("look", [self._open(queues)]))

    async def peers(self) -> list[Peer]:
        return await self._session.rows("peers", [self.supervisor], lambda row: Peer(*row))

    async def rescue(self, dead: int, max_lost: int) -> int:
        """Give a dead supervisor's jobs to others; returns how many it held.

        It may be dead to us because it is stopped, and that amid a turn: nobody waits for the end
        of that. If it was another's turn, which is as slow, its supervisor reconnects.
        """
        await self._session.row("end_stalled", [])
        return int((await self._session.row("rescue", [dead, max_lost]))[0])

    async def predecessor(self, supervisor: int, host: str, pid: int) -> bool:
        """Is there still a row of that supervisor?"""
        return await self._session.row("predecessor", [supervisor, host, pid]) is not None

    async def own_claims(self, since: int) -> list[Held]:
        """What the database thinks this supervisor holds, in claims from number `since` on."""
        return await self._session.rows(
            "own_claims",
            {"supervisor": self.supervisor, "since": since},
            lambda row: Held(*row),
        )

    async def cancelling(self) -> list[CancelRequest]:
        """The requests to cancel jobs that this supervisor holds."""
        return await self._session.rows(
            "cancelling", {"supervisor": self.supervisor}, lambda row: CancelRequest(*row)
        )


def _of_claims(said: Sequence[E], claims: Sequence[int] | None) -> list[E]:
    """Those of these claims."""
    return [one for one in said if one.claim in claims] if claims else []
