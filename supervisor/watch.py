"""Watching over what the subworkers do with their time: time-outs, jobs that wait for nothing."""

import logging
import time
from collections.abc import Callable, Sequence

from ..subworkers.board import Running
from .backlog import Backlog
from .member import Member

log = logging.getLogger("wsup.watch")

#: Seconds that a job may run before those that were given to its subworker with it are recalled.
STUCK_SECONDS = 0.05
#: Seconds without any job being handed out after which the backlog is given back to other hosts.
STILL_SECONDS = 1.0


class Watch:
    def __init__(
        self,
        backlog: Backlog,
        *,
        read: Callable[[Member], None],
        look: Callable[[Member, Sequence[Running]], None],
        give_back: Callable[[], None],
        stubborn: Callable[[Member, Sequence[Running], float], set[int]],
    ) -> None:
        #: Seconds after its time-out, or after it was cancelled, at which an attempt is ended by
        #: SIGKILL, when the exception that the task got has not ended it: it may be in C code, or
        #: have caught it. As set.
        self.kill_grace = 0.0
        self._backlog = backlog
        self._read = read
        self._look = look
        self._give_back = give_back
        self._stubborn = stubborn
        self._handed = 0
        self._moved_at = time.monotonic()

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
        self._release_surplus(now)

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
        member.took([now - since])
        if held > 1:
            member.recall()

    def _release_surplus(self, now: float) -> None:
        if not self._backlog.calls or self._backlog.handed != self._handed:
            self._handed, self._moved_at = self._backlog.handed, now
        elif now - self._moved_at > STILL_SECONDS:
            self._give_back()
            self._moved_at = now
