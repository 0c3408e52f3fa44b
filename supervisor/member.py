"""A subworker as its supervisor knows it: its process, its two rings, the jobs that it has."""

import asyncio
import logging
import os
import random
import signal
import time
from collections.abc import Callable, Iterable
from enum import Enum

from ..sql.answers import Row
from ..subworkers import wire
from ..subworkers.board import Running
from ..subworkers.memory import SharedMemory
from ..subworkers.ring import Receiver, RingDamaged, Sender, hush_bell
from ..subworkers.trust import ATTENTION, STACKS
from .pace import Pace
from .wait_status import end_in_words

log = logging.getLogger("wsup.member")

#: How much work a subworker is given ahead, in seconds: so much that waking it up costs little.
AHEAD_SECONDS = 0.05
#: The same of async jobs, which it starts as others end: so little that none has to wait for long.
AHEAD_ASYNC_SECONDS = 0.01
#: Jobs that a subworker is given ahead at most, however short they are.
AHEAD_JOBS = 128
#: Bytes of stacks that are shown of a subworker.
STACKS_BYTES = 32 * 1024
#: The share of a limit that is left to chance.
LIFE_JITTER = 0.2


class State(Enum):
    STARTING = "starting"
    READY = "ready"
    LEAVING = "leaving"
    GONE = "gone"


class Member:
    def __init__(self, index: int, generation: int, memory: SharedMemory) -> None:
        self.index = index
        self.generation = generation
        self.memory = memory
        self.state = State.STARTING
        self.pid: int | None = None
        self.done = 0
        #: The jobs for which it was killed, as they went on for too long, and what is told of them.
        self.overdue: set[int] = set()
        self.doomed = ""
        self.born_at = time.monotonic()
        #: What share of the limits of its life it is given; not all are to be renewed at once.
        self.share = 1 - LIFE_JITTER * random.random()  # noqa: S311  (no secret)
        #: Its memory when it had done nothing yet, in bytes; None until it was measured.
        self.first_rss: int | None = None
        #: It was ended for reasons of ours: its jobs are not to blame.
        self.interrupted = False
        #: A job has left it in a state in which no other one should run.
        self.untrusted = False
        #: It has been inside one sync job for long: nothing more is to wait behind that.
        self.stuck = False
        #: How many async jobs have been running for long.
        self.lasting = 0
        #: What it was handed and has not reported on, by job, in the order of handing.
        self.held: dict[int, Row] = {}
        #: Those of them that are async: they don't wait for each other.
        self.held_async: set[int] = set()
        #: By place of the board: the number of the last note read there, and when.
        self.noted: dict[int, tuple[int, float]] = {}
        #: The jobs of each call of a batch task, by each of them.
        self._batches: dict[int, set[int]] = {}
        #: How many jobs, sync and async, it has beside another one of the same call.
        self._beside = self._beside_async = 0
        #: Of its sync jobs, and of the async ones.
        self.pace, self.pace_async = Pace(), Pace()
        self.receiver = Receiver(memory.results)
        self._sender = Sender(memory.jobs)
        self._pidfd = -1

    def __repr__(self) -> str:
        return f"subworker {self.index} (pid {self.pid}, generation {self.generation})"

    # the process ------------------------------------------------------------------------------

    def born(self, pid: int, on_report: Callable[[], None], on_death: Callable[[], None]) -> None:
        """The template has forked it: watch its results and its end."""
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.receiver.data_fd, on_report)
        loop.add_reader(self._pidfd, on_death)

    def reap(self) -> str:
        """Collect the ended process; returns how it ended, in words."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.receiver.data_fd)
        loop.remove_reader(self._pidfd)
        loop.remove_reader(self._sender.space_fd)
        self.state = State.GONE
        pid = self.pid or 0
        end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        if end is not None and (end.si_code != os.CLD_EXITED or end.si_status != 0):
            self._end_group(pid)
        _, status = os.waitpid(pid, 0)
        os.close(self._pidfd)
        return end_in_words(status)

    def _end_group(self, pid: int) -> None:
        """What the interrupted job has started goes with it: the job may run again elsewhere."""
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def kill(self, reason: str = "", overdue: Iterable[int] = ()) -> None:
        """End it at once, for the jobs `overdue`, of which `reason` is told."""
        self.doomed = reason
        self.overdue.update(overdue)
        if self.pid is not None and self.state is not State.GONE:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def ask_for_stacks(self) -> None:
        """Have it write down where each of its threads is, also amid C code."""
        if self.pid is not None and self.state is not State.GONE:
            os.ftruncate(self.memory.fds.stacks, 0)
            os.lseek(self.memory.fds.stacks, 0, os.SEEK_SET)
            signal.pidfd_send_signal(self._pidfd, STACKS)

    def stacks(self) -> str:
        """What it has written since it was asked; "" if it was not, or is gone."""
        if self.state is State.GONE:
            return ""
        return os.pread(self.memory.fds.stacks, STACKS_BYTES, 0).decode(errors="replace").strip()

    # its jobs ---------------------------------------------------------------------------------

    def room(self) -> int:
        """How many more sync jobs it should be given now.

        It is refilled at half, so that one message carries many jobs; a job that is long, or of
        unknown length, is given alone, so that none waits behind it while others are idle.
        """
        if self.state is not State.READY or self.stuck:
            return 0
        mean = self.pace.lately
        credit = 1 if mean is None else max(1, min(AHEAD_JOBS, int(AHEAD_SECONDS / (mean + 1e-9))))
        has = self.sync_calls
        return credit - has if has * 2 <= credit else 0

    def room_async(self, concurrency: int) -> int:
        """How many more async jobs it should be given now: those that it can run at once, and as
        many as will soon be able to start; refilled at half of these."""
        if self.state is not State.READY:
            return 0
        mean = self.pace_async.mean
        ahead = 0 if mean is None else int(concurrency * AHEAD_ASYNC_SECONDS / (mean + 1e-9))
        ahead = min(concurrency, ahead)
        has = len(self.held_async) - self._beside_async
        return concurrency + ahead - has if has <= concurrency + ahead // 2 else 0

    @property
    def sync_calls(self) -> int:
        """How many calls of sync tasks it has been handed."""
        return len(self.held) - len(self.held_async) - self._beside

    def ending(self) -> int:
        """How many of its jobs may end soon; a long one holds up what is behind it."""
        n_async = len(self.held_async)
        n_sync = 0 if self.stuck else len(self.held) - n_async
        return n_sync + max(0, n_async - self.lasting)

    def hand(self, rows: list[Row], *, is_async: bool) -> None:
        """Give it jobs, its own until it reports on them or dies. It hears by `ring_bell`."""
        for row in rows:
            self.held[row[1]] = row
        if is_async:
            self.held_async.update(row[1] for row in rows)
        self._send(wire.encode_run(rows), bell=False)

    def hand_batch(self, rows: list[Row], *, is_async: bool) -> None:
        """Give it jobs of a batch task, for one call."""
        jobs = {row[1] for row in rows}
        self._batches.update(dict.fromkeys(jobs, jobs))
        self._count_beside(len(jobs) - 1, is_async=is_async)
        for row in rows:
            self.held[row[1]] = row
        if is_async:
            self.held_async |= jobs
        self._send(wire.encode_batch(rows), bell=False)

    def _count_beside(self, jobs: int, *, is_async: bool) -> None:
        if is_async:
            self._beside_async += jobs
        else:
            self._beside += jobs

    def release(self, job: int) -> bool | None:
        """It no longer has the job. True if that ends a call of a sync task, False if one of an
        async task; None if the call has other jobs, too."""
        self.held.pop(job, None)
        is_async = job in self.held_async
        if is_async:
            self.held_async.discard(job)
        if self._batches and (jobs := self._batches.pop(job, None)):
            jobs.discard(job)
            if jobs:
                self._count_beside(-1, is_async=is_async)
                return None
        return not is_async

    def release_all(self) -> None:
        """It has no job any more."""
        self.held.clear()
        self.held_async.clear()
        self._batches.clear()
        self._beside = self._beside_async = 0

    def running(self) -> list[Running]:
        """The jobs that run there; of a call for many, all."""
        running = self.memory.board.running()
        if not self._batches:
            return running
        return [
            place._replace(job=job)
            for place in running
            for job in self._batches.get(place.job, (place.job,))
        ]

    def recall(self) -> None:
        """Ask for the jobs that it has not started, even while it is inside a task."""
        self._send(wire.encode(wire.Recall()))
        signal.pidfd_send_signal(self._pidfd, ATTENTION)

    def holds(self, claim: int, job: int) -> bool:
        """Was it handed this job, as pulled with this claim, and hasn't reported on it?"""
        row = self.held.get(job)
        return row is not None and row[0] == claim

    def cancel(self, claim: int, job: int) -> None:
        """Have it end a job that it holds, even amid its task."""
        self._send(wire.encode(wire.Cancel(claim, job)))
        if not self.untrusted and self.state is not State.GONE:
            signal.pidfd_send_signal(self._pidfd, ATTENTION)

    def stop(self, *, attentive: bool = True) -> None:
        """Let it finish what it runs, then end. One that isn't `attentive` may have lost the
        handler of the signal by which it is told amid a task."""
        if self.state in (State.STARTING, State.READY):
            self.state = State.LEAVING
            if self.pid is not None and attentive:
                self.recall()
            else:
                self._send(wire.encode(wire.Recall()))
            self._send(wire.encode(wire.Stop()))

    def ring_bell(self) -> None:
        """Tell it that it has been handed jobs. Rung once everybody has got theirs: who wakes up
        may take this process's place on the processor."""
        self._sender.ring_bell()

    def flush(self) -> None:
        """Send more of what did not fit into its ring."""
        try:
            is_all = self._sender.flush()
        except RingDamaged as error:
            self._damaged(error)
            return
        if is_all:
            asyncio.get_running_loop().remove_reader(self._sender.space_fd)

    def _send(self, message: bytes, *, bell: bool = True) -> None:
        try:
            is_all = self._sender.offer(message, bell=bell)
        except RingDamaged as error:
            self._damaged(error)
            return
        if not is_all:
            asyncio.get_running_loop().add_reader(self._sender.space_fd, self._flush)

    def _damaged(self, error: RingDamaged) -> None:
        log.error("%s is killed: %s", self, error)
        self.kill()

    def _flush(self) -> None:
        hush_bell(self._sender.space_fd)
        self.flush()
