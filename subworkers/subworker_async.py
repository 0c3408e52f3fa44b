"""A subworker whose app has async tasks: a loop in a thread of its own runs those, many at once,
while the main thread runs the sync ones, one at a time."""

import asyncio
import inspect
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

import uvloop

from . import wire
from .attempt import Attempts, Pair
from .batch import BatchAttempts, jobs_of, take_out
from .capturing import Capturing
from .contract import RunnableApp
from .descriptors import opening_high
from .memory import SharedMemory
from .notes import Desk, Desks
from .outbox import Outbox
from .ring import BELL_PAUSE, Receiver, Sender
from .trust import ATTENTION, LONG_ENOUGH, Trust, end_fork

#: Seconds that the main thread waits for the loop, which an async task may hold up.
ORDERS_SECONDS = 0.1


class AsyncSide:
    def __init__(
        self,
        app: RunnableApp,
        attempts: Attempts,
        memory: SharedMemory,
        results: Sender,
        concurrency: int,
        capturing: Capturing,
    ) -> None:
        self._app = app
        self._capturing = capturing
        self._attempts = attempts
        self._batches = BatchAttempts(attempts)
        self._board = memory.board
        self._orders = Receiver(memory.jobs)
        self._outbox = Outbox(results, attempts)
        #: Jobs for the main thread; None ends it.
        self._sync_jobs: SimpleQueue[wire.Job | wire.Batch | None] = SimpleQueue()
        self._places = list(range(concurrency, 0, -1))
        #: Async jobs for which there is no place yet.
        self._async_jobs: deque[wire.Job | wire.Batch] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        #: What has not been reported on.
        self._held: set[Pair] = set()
        self._bell_is_due = False
        self._stopped = asyncio.Event()
        #: The main thread has run its last job.
        self._sync_ended = asyncio.Event()
        self._status = 0
        self._main = threading.get_ident()
        #: Orders have come which tell the main thread not to begin, or not to go on.
        self._is_told = False
        signal.signal(ATTENTION, self._attend)
        Desks.current = Desk(memory.slate, self._outbox.send_note)
        self._trust = Trust(memory.bells)
        self._trusted = True
        self._is_ready = False

    def run(self) -> int:
        """Work until told to stop; returns the exit status."""
        thread = threading.Thread(target=self._run_loop, name="wsup-async")
        thread.start()
        rung = time.monotonic()
        while (job := self._sync_jobs.get()) is not None:
            if not self._trusted:
                self._return(jobs_of(job))
                continue
            began = time.monotonic()
            report: wire.Report
            if isinstance(job, wire.Batch):
                report = self._batches.run_sync(job)
            else:
                report = self._attempts.run_sync(job)
            self._outbox.send(report, bell=False)
            self._board.clear(0)
            self._held.difference_update([(one.claim, one.id) for one in jobs_of(job)])
            ended = time.monotonic()
            is_bell_due = self._sync_jobs.empty() or ended - rung > BELL_PAUSE
            if breach := self._trust.after_sync(whole=is_bell_due or ended - began > LONG_ENOUGH):
                self._distrust(job, breach)
            if is_bell_due or breach:
                self._outbox.ring_bell()
                rung = ended
            if self._is_told:
                self._await_orders()
        self._end_sync()
        thread.join()
        return self._status

    def _run_loop(self) -> None:
        # It makes its loop on entry, so that is to be inside, too.
        with (
            opening_high() as free_the_low,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            try:
                runner.run(self._arise())
                free_the_low()
                runner.run(self._serve())
            except BaseException:
                self._status = 1
                if self._is_ready:  # a task has stopped the loop: nothing goes on here
                    traceback.print_exc()
                    os._exit(1)
                self._outbox.send(wire.Unfit(traceback.format_exc()))
        self._sync_jobs.put(None)

    async def _arise(self) -> None:
        """By the loop's first run all its descriptors are open."""
        # A task may fork, and the child come back to the loop: it must do nothing there.
        loop = asyncio.get_running_loop()
        os.register_at_fork(after_in_child=lambda: loop.call_soon(end_fork, None))

    def _attend(self, *_signal: object) -> None:
        self._is_told = True
        self._attempts.strike()

    def _await_orders(self) -> None:
        """Have the loop obey them before the main thread, which has just run a job and need not let
        go of the interpreter, begins the next one: that may be cancelled by them."""
        self._is_told = False
        heard = threading.Event()
        try:
            self._loop.call_soon_threadsafe(self._obey)
            self._loop.call_soon_threadsafe(heard.set)
        except (AttributeError, RuntimeError):
            return  # there never was a loop, or it has ended
        heard.wait(ORDERS_SECONDS)

    def _end_sync(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._sync_ended.set)
        except (AttributeError, RuntimeError):
            pass  # there never was a loop, or it has ended first

    async def _serve(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        await self._run_hooks(self._app.start_hooks)
        self._capturing.begin_records()
        self._trust.begin()
        self._is_ready = True
        self._outbox.send(wire.Ready())
        loop.add_reader(self._orders.data_fd, self._obey)
        self._obey()
        await self._stopped.wait()
        # Orders are heard as long as anything runs: it may be to be cancelled.
        self._sync_jobs.put(None)
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._sync_ended.wait()
        loop.remove_reader(self._orders.data_fd)
        await self._run_hooks(self._app.stop_hooks)

    async def _run_hooks(self, hooks: Sequence[Callable[[], object]]) -> None:
        for hook in hooks:
            made = hook()
            if inspect.isawaitable(made):
                await made

    def _obey(self) -> None:
        for message in self._orders.get_nowait():
            order = wire.decode_order(message)
            if isinstance(order, wire.Run):
                for job in order.jobs:
                    self._begin(job)
            elif isinstance(order, wire.Batch):
                for entry in self._batches.as_orders(order):
                    self._begin(entry)
            elif isinstance(order, wire.Stop):
                self._stopped.set()
            elif isinstance(order, wire.Cancel):
                self._cancel((order.claim, order.job))
            else:
                self._give_back()

    def _begin(self, job: wire.Job | wire.Batch) -> None:
        jobs = jobs_of(job)
        if not self._trusted:
            self._return(jobs)
            return
        self._held.update([(one.claim, one.id) for one in jobs])
        if not self._attempts.is_async(jobs[0]):
            self._sync_jobs.put(job)
            return
        if self._places:
            self._start(job, self._places.pop())
        else:
            self._async_jobs.append(job)

    def _start(self, job: wire.Job | wire.Batch, place: int) -> None:
        task = asyncio.get_running_loop().create_task(self._run(job, place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: wire.Job | wire.Batch, place: int) -> None:
        report: wire.Report
        if isinstance(job, wire.Batch):
            report = await self._batches.run_async(job, place)
        else:
            report = await self._attempts.run_async(job, place)
        self._outbox.send(report, bell=False)
        self._board.clear(place)
        self._held.difference_update([(one.claim, one.id) for one in jobs_of(job)])
        if breach := self._trust.after_async():
            self._distrust(job, breach)
        if self._async_jobs and self._trusted:
            self._start(self._async_jobs.popleft(), place)
        else:
            self._places.append(place)
        if not self._bell_is_due:  # one bell for all that ends in this turn of the loop
            self._bell_is_due = True
            asyncio.get_running_loop().call_soon(self._ring)

    def _distrust(self, job: wire.Job | wire.Batch, breach: str) -> None:
        """Ask to be replaced; what runs beside this job may end. If a bell is gone, nothing more
        could be heard or told: this process's end rings in its place."""
        if self._trusted:
            self._trusted = False
            self._outbox.send(wire.Untrusted(job.id, breach), bell=False)
        if not self._trust.can_be_told():
            os._exit(0)

    def _ring(self) -> None:
        self._bell_is_due = False
        self._outbox.ring_bell()

    def _cancel(self, pair: Pair) -> None:
        """Cancel a job that runs in one of the threads, or waits for one; others have ended."""
        if pair not in self._held or self._attempts.strike_async(pair):
            return
        self._async_jobs = deque(take_out(pair, self._async_jobs, self._drop))
        if pair not in self._held:
            return
        self._attempts.asked.add(pair)
        for entry in take_out(pair, self._take_waiting(), self._drop):
            self._sync_jobs.put(entry)
        if self._stopped.is_set():
            self._sync_jobs.put(None)
        if pair in self._held:
            # To this very thread, so that what it waits for in the kernel is interrupted.
            signal.pthread_kill(self._main, ATTENTION)

    def _drop(self, job: wire.Job) -> None:
        pair = job.claim, job.id
        self._held.discard(pair)
        self._attempts.asked.discard(pair)
        self._outbox.send(wire.dropped(job))

    def _take_waiting(self) -> list[wire.Job | wire.Batch]:
        """The sync jobs that the main thread, which goes on meanwhile, has not begun."""
        jobs: list[wire.Job | wire.Batch] = []
        try:
            while True:
                if (job := self._sync_jobs.get_nowait()) is not None:
                    jobs.append(job)
        except Empty:
            return jobs

    def _give_back(self) -> None:
        waiting = [*self._take_waiting(), *self._async_jobs]
        self._async_jobs.clear()
        self._return([job for entry in waiting for job in jobs_of(entry)])
        if self._stopped.is_set():
            self._sync_jobs.put(None)

    def _return(self, jobs: Sequence[wire.Job]) -> None:
        self._held.difference_update([(job.claim, job.id) for job in jobs])
        self._outbox.send(wire.Returned([job.id for job in jobs]))
