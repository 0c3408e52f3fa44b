"""The server's turns: what all supervisors have finished, and what they can take, in one.

Whatever comes while a turn is in the database waits for the next one together; what comes alone
goes at once. Supervisors of the same queues pull together, in shares by their free places.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from ..sql.answers import Pull, Row, Served, SourceLost, Turn
from ..sql.settlement import Back
from ..sql.source import PostgresSource
from .ask import Ask, Left, Queues, Room, part_of, rooms_of, shares_of
from .errors import FAULT

log = logging.getLogger("wsup.server")

#: Results that a turn carries at most, and bytes of these and of notes.
MOST_ENTRIES, MOST_BYTES = 10_000, 16 << 20
#: Due jobs that a turn makes ready at most, and seconds between two looks for them while awake.
PROMOTE_JOBS, PROMOTE_SECONDS = 1000, 0.1
#: After a pull of more jobs, the next one takes back the word that the server sleeps.
FEW_JOBS = 4


class Turns:
    def __init__(
        self,
        source: PostgresSource,
        *,
        safe: Callable[[], bool],
        on_dry: Callable[[list[str]], None],
        on_due: Callable[[float | None], None],
        on_streams: Callable[[], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._source = source
        self._safe = safe
        self._on_dry = on_dry
        self._on_due = on_due
        self._on_streams = on_streams
        self._on_lost = on_lost
        #: Tasks that have streams of their own.
        self._streams: set[str] = set()
        self._asked: list[Ask] = []
        #: By supervisor, what waits for jobs.
        self._waiting: dict[int, Ask] = {}
        #: Groups of queues in which the last pull found less than was asked for.
        self._dry: set[Queues] = set()
        #: For whom the turn pulls that is under way.
        self._pulling: list[Ask] = []
        self._brought, self._called = 0, False
        self._room, self._left = Room(), Left()
        self.promote_now, self._last_promote = False, 0.0
        self._due = asyncio.Event()
        self._stopped = False
        #: Turns taken, jobs that they have brought and settled, and how long they took.
        self.taken = self.pulled = self.settled = 0
        self.seconds = 0.0

    @property
    def waiting(self) -> int:
        """How many supervisors wait for jobs."""
        return len(self._waiting)

    # asked by agents

    def ask(self, ask: Ask) -> None:
        """Have this go with the next turn."""
        for task, _ in ask.rooms:
            if task not in self._streams:
                self._streams.add(task)
                self._dry.clear()
                self._on_streams()
        if ask.waits:
            self._waiting[ask.supervisor] = ask
            if ask.queues in self._dry and self._safe() and not self._left.has_grown(ask):
                return  # nobody has called since
            if ask.rooms:
                self._dry.discard(ask.queues)  # there may be more room now than there was
        else:
            self._asked.append(ask)
        self._due.set()

    def withdraw(self, ask: Ask) -> None:
        """It waits no longer. Idempotent."""
        if self._waiting.get(ask.supervisor) is ask:
            del self._waiting[ask.supervisor]

    def abandon(self, ask: Ask) -> None:
        """Nobody waits for its answer any more, which may have come just now."""
        answer = ask.answer
        if not answer.done():
            answer.cancel()
        elif not answer.cancelled() and not answer.exception():
            self.give_back(ask.supervisor, answer.result().rows)

    def end(self, ask: Ask) -> None:
        """Answer it with what there is; if a turn is under way that pulls for it, after that."""
        self.withdraw(ask)
        if ask in self._pulling:
            ask.ends = True
        elif not ask.answer.done():
            ask.answer.set_result(Turn())

    def go(self) -> None:
        """There may be jobs again."""
        self._dry.clear()
        self._called = True
        # What fell due during a sleep has its own timer: the first pull needn't look for it.
        self._last_promote = time.monotonic()
        self._due.set()

    # the streams of tasks that are limited on each host; see supervisor/limits.py

    @property
    def tasks(self) -> Sequence[str]:
        return tuple(self._streams)

    def rooms(self, most: int) -> Sequence[tuple[str, int]]:
        """Those for which somebody who waits has room."""
        found = {task for ask in self._waiting.values() for task, room in ask.rooms if room}
        return [(task, most) for task in found]

    # the loop

    async def run(self) -> None:
        while not self._stopped:
            await self._due.wait()
            self._due.clear()
            while self._has_work() and not self._stopped:
                await self._take()

    def stop(self) -> None:
        """Idempotent."""
        self._stopped = True
        self._due.set()

    def _has_work(self) -> bool:
        return bool(self._asked) or self.promote_now or self._next_group() is not None

    def _next_group(self) -> Queues | None:
        """The queues for which somebody waits, and in which there may be jobs."""
        for ask in self._waiting.values():
            if ask.queues not in self._dry:
                return ask.queues
        return None

    async def _take(self) -> None:
        asks, group = self._cut()
        pulling = self._pulling = self._demand(asks, group)
        entries = [entry for ask in asks for entry in ask.entries]
        notes = [note for ask in asks for note in ask.notes]
        shares = shares_of(pulling, self._room.jobs)
        now = time.monotonic()
        promote = self.promote_now or (bool(shares) and now - self._last_promote >= PROMOTE_SECONDS)
        if entries or notes or shares or promote:
            wake = self._source.said_asleep and self._brought > FEW_JOBS
            pull = Pull(group, sum(shares.values()), wake) if shares else None
            holders = {claim: ask.supervisor for ask in asks for claim in ask.claims}
            self._called = False
            if promote:
                self.promote_now = False  # what falls due meanwhile takes another turn
            try:
                turn = await self._source.turn(
                    entries,
                    pull,
                    promote=PROMOTE_JOBS if promote else 0,
                    notes=notes,
                    served=Served(holders, shares, rooms_of(pulling)),
                )
            except SourceLost as error:
                self._fail([*asks, *pulling], error)
                return
            except Exception:  # a fault of wsup's own must not end the loop
                log.exception("a turn of %d results and %d notes", len(entries), len(notes))
                await self._source.close()  # a transaction may be open there
                self._fail([*asks, *pulling], SourceLost(FAULT))
                return
            finally:
                self._pulling = []
            self._took(turn, group, shares, promote=promote, began=now)
            if shares and group in self._dry:
                self._left.note(group, pulling, turn.shared)
        else:
            turn = Turn()
        self._answer(turn, asks, pulling)

    def _cut(self) -> tuple[list[Ask], Queues]:
        """What goes with the next turn: bounded, of one group of queues, and of no claim that two
        supervisors take for theirs."""
        asked, self._asked = self._asked, []
        asks: list[Ask] = []
        group: Queues | None = None
        holders: dict[int, int] = {}
        n = size = 0
        for i, ask in enumerate(asked):
            n, size = n + len(ask.entries), size + ask.size
            if asks and (n > MOST_ENTRIES or size > MOST_BYTES):
                self._asked = asked[i:] + self._asked
                break
            theirs = any(holders.get(c, ask.supervisor) != ask.supervisor for c in ask.claims)
            if theirs or (ask.most and group not in (None, ask.queues)):
                self._asked.append(ask)
                continue
            holders.update(dict.fromkeys(ask.claims, ask.supervisor))
            group = ask.queues if ask.most else group
            asks.append(ask)
        return asks, group or self._next_group() or ()

    def _demand(self, asks: list[Ask], group: Queues) -> list[Ask]:
        """Who pulls: those who ask just now, and those who wait. Nobody while there is nothing."""
        if group in self._dry and self._safe() and not any(ask.rooms for ask in asks):
            return []
        pulling = [ask for ask in asks if ask.most]
        there = {ask.supervisor for ask in pulling}
        return pulling + [
            ask
            for ask in self._waiting.values()
            if ask.queues == group and ask.supervisor not in there
        ]

    def _took(
        self, turn: Turn, group: Queues, shares: dict[int, int], *, promote: bool, began: float
    ) -> None:
        now = time.monotonic()
        self.taken += 1
        self.seconds += now - began
        self.pulled += len(turn.rows)
        if promote:
            self._last_promote = now
            self._on_due(turn.next_due)
        if shares:
            self._brought = len(turn.rows)
            self._room.learn(turn.rows)
            if len(turn.rows) < sum(shares.values()) and not self._called:
                self._dry.add(group)
                self._on_dry(self._queues())
            else:
                self._dry.discard(group)
        if turn.passed:
            self.go()

    def _queues(self) -> list[str]:
        """All that is pulled from and is dry now."""
        return sorted({queue for group in self._dry for queue in group})

    def _answer(self, turn: Turn, asks: list[Ask], pulling: list[Ask]) -> None:
        smooth = not (turn.late or turn.deferred or turn.deferred_notes or turn.culprits)
        for ask in asks:
            part = Turn() if smooth else part_of(turn, ask.claims)
            self.settled += len(ask.entries) - part.refused - len(part.deferred)
            if ask in pulling:
                part.rows = turn.shared.pop(ask.supervisor, [])
            if ask.most:
                self._lower(ask.supervisor, ask.most - len(part.rows))
            self._give(ask, part)
        for ask in pulling:
            if ask.waits and ((rows := turn.shared.pop(ask.supervisor, [])) or ask.ends):
                self.withdraw(ask)
                self._give(ask, Turn(rows))

    def _lower(self, supervisor: int, most: int) -> None:
        """What it waits for, it had asked for before: now it can take so many jobs more."""
        if waiting := self._waiting.get(supervisor):
            waiting.most = most
            if most <= 0:
                self.withdraw(waiting)

    def _give(self, ask: Ask, part: Turn) -> None:
        """Answer, or, if nobody waits for that any more, give its jobs to others."""
        if not ask.answer.done():
            ask.answer.set_result(part)
        else:
            self.give_back(ask.supervisor, part.rows)

    def give_back(self, supervisor: int, rows: Sequence[Row]) -> None:
        """The client has not taken these: they go to another one at the same attempt."""
        if rows:
            log.info("%d jobs for supervisor %d are given to others", len(rows), supervisor)
            self.ask(Ask(supervisor, [Back(row[0], row[1], row[2], None) for row in rows]))
            self.go()

    def _fail(self, asks: list[Ask], error: SourceLost) -> None:
        """Whether it was done is unknown: each is to compare what it has with its claims."""
        self._on_lost(str(error))
        self._refuse(asks, error)

    def fail_all(self, error: SourceLost) -> None:
        """Answer everybody, without any turn."""
        asks, self._asked = [*self._asked, *self._waiting.values()], []
        self._refuse(asks, error)

    def _refuse(self, asks: list[Ask], error: SourceLost) -> None:
        for ask in asks:
            self.withdraw(ask)
            if not ask.answer.done():
                ask.answer.set_exception(error)
