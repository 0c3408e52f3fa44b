"""A turn on a connection: what is finished is committed, what fits is pulled, in one transaction.

When the database refuses a batch, it is bisected until only the culprits are left out.
"""

import logging
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.rows import tuple_row

from .answers import Pull, Served, SourceLost, Turn, subscribed
from .arrays import integers
from .limits import PerHost, Unlimited, open_rooms
from .listener import Listener
from .notes import Note, note_columns
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
#: Whose jobs a pull brings, and its answer; 0: of several, the last column says whose each is.
_Pulled: TypeAlias = tuple[int, psycopg.AsyncCursor[Any]]


class Exchange:
    """The turns of one supervisor."""

    def __init__(self, session: Session, listener: Listener | None = None) -> None:
        self._session = session
        #: By whose connection a pull goes that has nothing to commit.
        self._listener = listener
        self.per_host: PerHost = Unlimited()
        self.supervisor = 0
        #: The queues in which the last pull has left nothing ready, if what was settled with it has
        #: let others of a key in.
        self._emptied: Sequence[str] | None = None

    async def turn(
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        *,
        promote: int = 0,
        notes: Sequence[Note] = (),
        served: Served | None = None,
    ) -> Turn:
        """Commit what is finished and pull what fits: one transaction, one round trip.

        When the database refuses the batch, it is bisected until only the culprits are left out;
        these are settled as failures. Raises SourceLost when nothing could be done; whether
        anything was committed is then unknown. `served`: for several supervisors at once.
        """
        try:
            only_pulls = not (entries or promote or notes)
            if pull is not None and only_pulls and _is_for_one(served, pull):
                return await self._pull_alone(pull, served)
            return await self._persist(entries, pull, promote=promote, notes=notes, served=served)
        except psycopg.Error as error:
            if not self._is_data_error(error) or not (entries or notes):
                raise lost(error) from error
        locked = await self._take_apart(notes, served)
        claims = {note.claim for note in locked}
        free = [entry for entry in entries if entry.claim not in claims]
        turn = await self._bisect(free, served)
        turn.deferred += [entry for entry in entries if entry.claim in claims]
        turn.deferred_notes = locked
        rest = await self.turn([], pull, promote=promote, served=served)
        turn.rows, turn.shared, turn.next_due = rest.rows, rest.shared, rest.next_due
        return turn

    async def _persist(
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        *,
        promote: int = 0,
        notes: Sequence[Note] = (),
        served: Served | None = None,
    ) -> Turn:
        """Attempt it, again and again while others are in the way."""
        for _ in range(RETRIES):
            try:
                return await self._attempt(entries, pull, promote, notes, served)
            except psycopg.Error as error:
                if error.sqlstate not in _PASSING_ERRORS or not self._session.connected:
                    raise
        return await self._attempt(entries, pull, promote, notes, served)

    async def _attempt(  # noqa: C901 - one step after the other
        self,
        entries: Sequence[Entry],
        pull: Pull | None,
        promote: int,
        notes: Sequence[Note],
        served: Served | None,
    ) -> Turn:
        many, holders = ("_for", served.holders) if served else ("", None)
        noted = settled = promoted = None
        pulled: list[_Pulled] = []
        async with self._session.statement() as connection:
            async with connection.pipeline():
                await connection.execute(statement("begin"))
                if notes:  # first: of a job that is settled, nothing more is accepted
                    noted = connection.cursor(row_factory=tuple_row)
                    await noted.execute(
                        statement("take_notes" + many),
                        note_columns(self.supervisor, notes, holders),
                    )
                if entries:
                    if pull and pull.queues == self._emptied and _is_for_one(served, pull):
                        room = [pull.most, list(pull.queues)]
                        await connection.execute(statement("hand_over"), room)
                    settled = connection.cursor(row_factory=tuple_row)
                    await settled.execute(
                        statement("settle" + many), columns(self.supervisor, entries, holders)
                    )
                if promote:
                    promoted = connection.cursor(row_factory=tuple_row)
                    await promoted.execute(statement("promote"), [promote])
                if pull is not None:
                    pulled = await self._send_pulls(connection, pull, served)
                done = await connection.execute(statement("commit"))
            if done.statusmessage != "COMMIT":
                raise SourceLost(f"COMMIT was answered by {done.statusmessage}")
            turn = Turn()
            if noted is not None and (answer := await noted.fetchone()):
                turn.deferred_notes = _of_claims(notes, answer[0])
            if settled is not None and (answer := await settled.fetchone()):
                turn.refused, turn.passed, locked, turn.late = (*answer, None)[:4]
                turn.deferred = _of_claims(entries, locked)
            if promoted is not None and (answer := await promoted.fetchone()):
                turn.next_due = answer[1]
            for whose, cursor in pulled:
                rows = await cursor.fetchall()
                turn.rows += rows
                if served:
                    _share(turn.shared, rows, whose)
            # What is ready goes first: not before a pull has brought it all is it passed by.
            is_empty = pull is not None and len(turn.rows) < pull.most
            self._emptied = pull.queues if pull and is_empty and turn.passed else None
            return turn

    async def _send_pulls(
        self, connection: psycopg.AsyncConnection[Any], pull: Pull, served: Served | None
    ) -> list[_Pulled]:
        only = _is_for_one(served, pull)
        parameters = self._pull_parameters(pull, served)
        sent: list[_Pulled] = [
            (parameters[0] if only else 0, connection.cursor(row_factory=tuple_row, binary=True))
        ]
        await sent[0][1].execute(statement("pull" if only else "pull_for"), parameters)
        rooms = served.rooms if served else {self.supervisor: self.per_host.rooms(pull.most)}
        for supervisor, room in rooms.items():
            if room:
                cursor = connection.cursor(row_factory=tuple_row, binary=True)
                where = open_rooms(supervisor, pull.queues, room)
                await cursor.execute(statement("pull_per_host"), where)
                sent.append((supervisor, cursor))
        return sent

    async def _pull_alone(self, pull: Pull, served: Served | None) -> Turn:
        """With nothing to commit, one statement is a transaction: this is what an idle system's
        next job waits for."""
        if served.rooms if served else self.per_host.tasks:
            return await self._persist([], pull, served=served)
        supervisor, *given = self._pull_parameters(pull, served)
        if self._listener is not None and self._listener.can_pull:
            rows = await self._listener.pull(pull, supervisor)
        elif not self._session.read_committed:
            return await self._persist([], pull, served=served)
        else:
            async with self._session.statement() as connection:
                cursor = connection.cursor(row_factory=tuple_row, binary=True)
                await cursor.execute(statement("pull"), [supervisor, *given])
                rows = await cursor.fetchall()
        return Turn(rows, shared=dict.fromkeys(served.shares, rows) if served and rows else {})

    def _pull_parameters(self, pull: Pull, served: Served | None) -> list[Any]:
        given = [subscribed(pull.queues), pull.most, pull.wake]
        if served is None:
            return [self.supervisor, *given]
        if _only(served, pull):
            return [*served.shares, *given]
        shares = integers(list(served.shares)), integers(list(served.shares.values()))
        return [self.supervisor, *given, *shares]

    async def _take_apart(self, notes: Sequence[Note], served: Served | None) -> list[Note]:
        """Store the notes of a refused batch one by one, without those that can't be. Returns those
        of locked claims."""
        locked: list[Note] = []
        for note in notes:
            try:
                part = await self._persist([], None, notes=[note], served=served)
                locked += part.deferred_notes
            except psycopg.Error as error:
                if not self._is_data_error(error):
                    raise lost(error) from error
                log.error("job %d: what it has noted can't be stored: %s", note.job, error)
        return locked

    async def _bisect(self, entries: Sequence[Entry], served: Served | None) -> Turn:
        """Settle a refused batch in halves, down to the entries that can't be stored."""
        turn = Turn()
        for half in (entries[: len(entries) // 2], entries[len(entries) // 2 :]):
            if not half:
                continue
            try:
                part = await self._persist(half, None, served=served)
            except psycopg.Error as error:
                if not self._is_data_error(error):
                    raise lost(error) from error
                if len(half) == 1:
                    part = await self._settle_culprit(refusal(half[0], error), served)
                    part.culprits.append(half[0])
                else:
                    part = await self._bisect(half, served)
            turn.refused += part.refused
            turn.late = [*(turn.late or []), *(part.late or [])]
            turn.passed += part.passed
            turn.deferred += part.deferred
            turn.culprits += part.culprits
        return turn

    async def _settle_culprit(self, failure: Failure, served: Served | None) -> Turn:
        try:
            return await self._persist([failure], None, served=served)
        except psycopg.Error as error:
            raise lost(error) from error

    def _is_data_error(self, error: psycopg.Error) -> bool:
        return (
            self._session.connected
            and error.sqlstate is not None
            and error.sqlstate.startswith(_DATA_ERRORS)
        )


def _only(served: Served, pull: Pull) -> bool:
    """Is it a pull for one alone? Then it goes as if by that one; who asks stays as asleep."""
    return len(served.shares) == 1 and not pull.wake


def _is_for_one(served: Served | None, pull: Pull) -> bool:
    return served is None or _only(served, pull)


def _share(shared: dict[int, list[Any]], rows: Sequence[Any], whose: int) -> None:
    """Add the jobs of a pull by their holder."""
    if whose:
        shared.setdefault(whose, []).extend(rows)
        return
    for row in rows:
        shared.setdefault(row[-1], []).append(row[:-1])


def _of_claims(said: Sequence[E], claims: Sequence[int] | None) -> list[E]:
    """Those of these claims."""
    return [one for one in said if one.claim in claims] if claims else []
