"""The turns: commit what is finished and pull what fits, in one round trip, again and again."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from ..sql.answers import Pull, Row, SourceLost, Turn
from ..sql.settlement import Entry
from ..sql.settlement import size as entry_size
from .gather import Gather
from .source import Source

log = logging.getLogger("wsup.turn")

#: Seconds between turns while there is other work: results that arrive meanwhile share one.
LINGER_SECONDS = 0.01
#: Seconds between two looks at the jobs that fall due, while awake.
PROMOTE_SECONDS = 0.1
#: After a pull that brings more than so many jobs, the next one takes back the word that this
#: supervisor sleeps. Below that, to be called costs less than to give the word again; above it,
#: writers, who commit one after the other if they call, would hold each other up.
FEW_JOBS = 4
#: Due jobs that one turn makes ready at most.
PROMOTE_JOBS = 1000


class Turns:
    """Decides when a turn is due, and takes it. `consider` is to be called at every change."""

    def __init__(
        self,
        source: Source,
        gather: Gather,
        *,
        batch: int,
        batch_bytes: int,
        wanted: Callable[[], int],
        starving: Callable[[], bool],
        held: Callable[[], int],
        ending: Callable[[], int],
        in_doubt: Callable[[], bool],
        on_rows: Callable[[list[Row]], None],
        on_settled: Callable[[int, float], None],
        on_dry: Callable[[], None],
        asleep: Callable[[], bool],
        on_passed: Callable[[], None],
        on_due: Callable[[float | None], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._source = source
        self._gather = gather
        self.batch = batch
        self.batch_bytes = batch_bytes
        self._wanted = wanted
        self._starving = starving
        self._held = held
        self._ending = ending
        self._in_doubt = in_doubt
        self._on_rows = on_rows
        self._on_settled = on_settled
        self._on_dry = on_dry
        self._asleep = asleep
        self._on_passed = on_passed
        self._on_due = on_due
        self._on_lost = on_lost
        self.queues: Sequence[str] = ()
        #: May jobs be pulled? Not while asleep, paused or stopping.
        self.pulling = False
        #: There may be jobs that came after the last pull had begun.
        self._called = False
        #: How many jobs the last pull since `go` has brought.
        self._brought = 0
        #: What was settled last has let others of a key in; what is settled next may do so, too.
        self._passing = False
        #: Jobs have fallen due: the next turn makes them ready.
        self.promote_now = False
        #: The last turn left results undecided, whose claims somebody else had locked.
        self._deferred = False
        #: Turns with results that went through.
        self.commits = 0
        #: The entries of the turn that is under way.
        self.sending: list[Entry] = []
        #: Jobs that turns have brought and that are not in the backlog yet.
        self.arriving: list[Row] = []
        #: Held by the turn that is under way, and by who needs that there is none.
        self.quiet = asyncio.Lock()
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._last_end = 0.0
        self._last_promote = 0.0

    def consider(self) -> None:
        """Something has changed: take a turn now, or later, or not at all."""
        if self._due.is_set() or self.sending or not self._source.connected:
            return  # after the turn that is under way, it is considered again
        has_news = bool(self._gather.finished or self._gather.notes)
        if self._in_doubt() and not has_news:
            return  # once that is settled, it is considered again
        if self._is_urgent():
            self._due.set()
        elif self._timer is None and (has_news or self._wants_more()):
            pause = self._last_end + LINGER_SECONDS - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(0, pause), self._ring)

    def go(self) -> None:
        """Pull from now on. What was there when this was called is found, also amid a turn."""
        self._called = True
        if not self.pulling:
            self.pulling = True
            self._brought = 0
        # What fell due during the sleep has its own timer: the first pull needn't look for it.
        self._last_promote = time.monotonic()
        # Not considered first: what is pulled, if anything, will be thought about soon enough.
        self._due.set()

    def _ring(self) -> None:
        self._timer = None
        self._due.set()

    def _is_urgent(self) -> bool:
        gather = self._gather
        size = gather.finished_bytes + gather.notes.bytes
        is_full = len(gather.finished) >= self.batch or size >= self.batch_bytes
        if is_full and not self._deferred:
            return True
        if self.pulling and self._wanted() - len(self.arriving) >= self.batch // 2:
            return True  # the subworkers are faster than the turns: no pause between these
        if self.arriving:
            return False  # they are handed out first: no subworker is without work for long
        if self.pulling and (self.promote_now or self._starving()):
            return True
        if not gather.finished or self._deferred:
            return False
        held = self._held()
        # Where each end lets another job in, two halves of them take turns: one runs while the
        # database works on the other. What goes on for long is not waited for.
        half = max(held // 2, self.batch // 8)
        return not held or (self._passing and (len(gather.finished) >= half or not self._ending()))

    def _wants_more(self) -> bool:
        return self.pulling and self._wanted() > len(self.arriving)

    def stop(self) -> None:
        """Take no more turns by itself; `run` returns after the one under way."""
        self._stopped = True
        self._due.set()

    async def run(self) -> None:
        while not self._stopped:
            await self._due.wait()
            self._due.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            await self.take()
            self.consider()

    async def take(self) -> bool:
        """Take one turn. False if the source was lost; its results are kept for the next one."""
        async with self.quiet:
            took = await self._take()
        if self._deferred and self._stopped:  # who takes the last ones tries again at once
            await asyncio.sleep(LINGER_SECONDS)
        return took

    async def _take(self) -> bool:
        notes = self._gather.notes.cut(self.batch_bytes) if self._gather.notes else []
        entries = self._cut_batch()
        # Asleep or not, a turn that may let others of a key in brings them along.
        rides = bool(entries) and self._passing and self._asleep()
        may_pull = (self.pulling or rides) and not self._in_doubt()
        wanted = max(0, self._wanted() - len(self.arriving)) if may_pull else 0
        promote = (
            self.pulling
            and self._source.promotes
            and (self.promote_now or time.monotonic() - self._last_promote >= PROMOTE_SECONDS)
        )
        if not (entries or notes or wanted or promote) or not self._source.connected:
            self._gather.keep(entries, notes)
            return self._source.connected
        is_called = self.pulling and self._source.said_asleep
        wake = wanted > 0 and is_called and self._brought > FEW_JOBS
        if wanted:
            self._called = False
        if promote:
            self.promote_now = (
                False  # before it is sent: what falls due meanwhile takes another one
            )
        self.sending = entries
        began = time.monotonic()
        try:
            turn = await self._source.turn(
                entries,
                Pull(self.queues, wanted, wake) if wanted else None,
                promote=PROMOTE_JOBS if promote else 0,
                notes=notes,
            )
        except SourceLost as error:
            self._gather.keep(entries, notes)
            self._on_lost(str(error))
            return False
        finally:
            self.sending = []
            self._last_end = time.monotonic()
        seconds = self._last_end - began
        self.commits += bool(entries)
        self._took(turn, entries, seconds, wanted=wanted, promoted=promote)
        return True

    def _arrive(self) -> None:
        rows, self.arriving = self.arriving, []
        if rows:
            self._on_rows(rows)
        self.consider()

    def _cut_batch(self) -> list[Entry]:
        """Take what the next turn may carry: bounded by number and by bytes."""
        gather = self._gather
        n = min(len(gather.finished), self.batch)
        if gather.finished_bytes > self.batch_bytes:
            size, n_by_size = 0, 0
            for entry in gather.finished[:n]:
                size += entry_size(entry)
                if n_by_size and size > self.batch_bytes:
                    break
                n_by_size += 1
            n = n_by_size
        if gather.notes:  # not all of them have found room
            n = gather.notes.allow(gather.finished[:n])
        entries = gather.finished[:n]
        del gather.finished[:n]
        if not gather.finished:
            gather.finished_bytes = 0
        elif gather.finished_bytes:
            gather.finished_bytes -= sum(entry_size(entry) for entry in entries)
        return entries

    def _took(
        self,
        turn: Turn,
        entries: list[Entry],
        seconds: float,
        *,
        wanted: int,
        promoted: bool,
    ) -> None:
        if turn.rows and (self._gather.finished or self.arriving):
            # The next turn is sent first, and what came is handed out while the database works. If
            # that has answered before anybody waited for it, more comes before that.
            if not self.arriving:
                asyncio.get_running_loop().call_soon(self._arrive)
            self.arriving += turn.rows
        elif turn.rows:
            self._on_rows(turn.rows)
        if wanted:
            self._brought = len(turn.rows)
        if promoted:
            self._last_promote = self._last_end
            self._on_due(turn.next_due)
        self._deferred = bool(turn.deferred or turn.deferred_notes)
        self._gather.notes.keep(turn.deferred_notes)
        self._gather.defer(turn.deferred)
        refused = turn.refused - self._gather.resolve(entries, turn.deferred)
        if refused > 0:
            log.warning("%d results came too late: their jobs were given to others", refused)
        for culprit in turn.culprits:
            log.error("job %d: its result can't be stored", culprit.job)
        settled = len(entries) - turn.refused - len(turn.deferred)
        self._on_settled(settled + self._gather.take_settled(), seconds)
        if entries:
            self._passing = turn.passed > 0
        self._look_ahead(turn, wanted)

    def _look_ahead(self, turn: Turn, wanted: int) -> None:
        """Is there more to pull?"""
        if len(turn.rows) < wanted and self.pulling and not self._called:
            self._on_dry()
        elif turn.passed and len(turn.rows) == wanted and not self.pulling:
            self._on_passed()  # perhaps more than were pulled, if any were
