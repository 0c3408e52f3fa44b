"""Watching over what the subworkers do with their time: time-outs, jobs that wait for nothing."""

import logging
import time
from collections.abc import Callable, Sequence

from ..subworkers.board import SYNC_PLACE, Running
from .backlog import Line
from .member import Member
from .surplus import Surplus

log = logging.getLogger("wsup.watch")

#: Seconds that a job may run before those that were given to its subworker with it are recalled.
STUCK_SECONDS = 0.05


class Watch:
    def __init__(
        self,
        lines: Sequence[Line],
        *,
        read: Callable[[Member], None],
        look: Callable[[Member, Sequence[Running]], None],
        on_surplus: Callable[[Line, int], None],
        stubborn: Callable[[Member, Sequence[Running], float], set[int]],
    ) -> None:
        #: Seconds after its time-out, or after it was cancelled, at which an attempt is ended by
        #: SIGKILL, when the exception that the task got has not ended it: it may be in C code, or
        #: have caught it. As set.
        self.kill_grace = 0.0
        self._surplus = [(line, Surplus(line)) for line in lines]
        self._read = read
        self._look = look
        self._on_surplus = on_surplus
        self._stubborn = stubborn

    def look(self, members: Sequence[Member]) -> None:
        """To be called some twenty times a second while jobs run."""
        now = time.monotonic()
        for member in members:
            if member.held:
                self._read(member)  # a result may lie there unannounced, behind a long job
                member.flush()
                running = member.running()
                self._look(member, running)
                self._end_overdue(member, running, now)
                self._recall_stuck(member, now)
                member.lasting = sum(
                    1
                    for each in running
                    if each.place != SYNC_PLACE and now - each.started > STUCK_SECONDS
                )
        for line, surplus in self._surplus:
            if calls := surplus.count(now):
                self._on_surplus(line, calls)

    def _end_overdue(self, member: Member, running: Sequence[Running], now: float) -> None:
        if member.overdue:
            return  # it is being killed
        overdue = {
            place.job
            for place in running
            if place.deadline is not None and now > place.deadline + self.kill_grace
        }
        if overdue:
            jobs = ", ".join(map(str, sorted(overdue)))
            log.warning("%s is killed: job %s is past its time-out", member, jobs)
            reason = f"went on for {self.kill_grace:g} s after its time-out: SIGKILL"
            member.kill(reason, overdue=overdue)
        elif stubborn := self._stubborn(member, running, now - self.kill_grace):
            jobs = ", ".join(map(str, sorted(stubborn)))
            log.warning("%s is killed: job %s was cancelled, and goes on", member, jobs)
            member.kill(f"it went on for {self.kill_grace:g} s: SIGKILL", overdue=stubborn)

    def _recall_stuck(self, member: Member, now: float) -> None:
        """Jobs were taken for short ones, and now wait, or would, behind one that is not."""
        held = member.sync_calls
        since = member.memory.board.sync_since()
        if member.stuck or not held or since is None or now - since <= STUCK_SECONDS:
            return
        member.stuck = True  # until it reports the end of a job
        member.pace.took([now - since])
        if held > 1:
            member.recall()
