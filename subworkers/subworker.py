"""A subworker: takes jobs from one ring, runs them, puts their results into the other.

A result lies in shared memory before the next job starts, so that a death costs no finished job;
only the bell is spared while more results follow within a millisecond.
"""

import asyncio
import faulthandler
import inspect
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence

from . import wire
from .attempt import Attempts
from .batch import BatchAttempts, jobs_of, take_out
from .capturing import Capturing
from .contract import RunnableApp
from .memory import SharedMemory
from .notes import Desk, Desks
from .ring import BELL_PAUSE, Receiver, RingClosed, Sender
from .subworker_async import AsyncSide
from .trust import ATTENTION, LONG_ENOUGH, STACKS, Trust


def run_subworker(app: RunnableApp, index: int, memory: SharedMemory, load: wire.Load) -> int:
    """Work until told to stop; returns the exit status."""
    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(signum, signal.SIG_DFL)
    # A subworker that wakes up must not push the supervisor, or the server, off the processor:
    # those hand out and take in the work of all. Measured: a tenth more jobs a second.
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        pass  # a sandbox may forbid it; it is a matter of speed only
    faulthandler.register(STACKS, file=memory.fds.stacks, all_threads=True)
    results = Sender(memory.results)
    attempts = Attempts(app, memory.board, index)
    hooks = [*app.start_hooks, *app.stop_hooks]
    is_async = any(t.is_async for t in app.tasks.values()) or any(
        inspect.iscoroutinefunction(hook) for hook in hooks
    )
    capturing = Capturing(app, attempts, memory, load.log_bytes, alone=not is_async)
    if is_async:
        return AsyncSide(app, attempts, memory, results, load.concurrency, capturing).run()
    try:
        run_hooks(app.start_hooks)
    except BaseException:
        results.put(wire.encode(wire.Unfit(traceback.format_exc())))
        return 1
    capturing.begin_records()
    results.put(wire.encode(wire.Ready()))
    SyncRunner(attempts, memory, results).run()
    run_hooks(app.stop_hooks)
    return 0


def run_hooks(hooks: Sequence[Callable[[], object]]) -> None:
    for hook in hooks:
        made = hook()
        if inspect.iscoroutine(made):
            asyncio.run(made)


class SyncRunner:
    """Runs one job after the other, all in the main thread and with no other one beside it."""

    def __init__(self, attempts: Attempts, memory: SharedMemory, results: Sender) -> None:
        self._attempts = attempts
        self._board = memory.board
        self._orders = Receiver(memory.jobs)
        self._results = results
        self._batches = BatchAttempts(attempts)
        self._pending: deque[wire.Job | wire.Batch] = deque()
        self._stopping = False
        signal.signal(ATTENTION, self.attend)
        attempts.attend = self.attend
        attempts.hear_alarms()  # a start hook may have taken the signal for itself
        #: Notes that are to be sent; only the main thread may use the ring.
        self._late: deque[bytes] = deque()
        self._main = threading.get_ident()
        Desks.current = Desk(memory.slate, self._send_note)
        self._trust = Trust(memory.bells)

    def run(self) -> None:
        while not self._stopping:
            try:
                self._obey(self._orders.get_many())
            except RingClosed:
                break
            self._run_pending()

    def _obey(self, orders: list[memoryview]) -> None:
        for message in orders:
            order = wire.decode_order(message)
            if isinstance(order, wire.Run):
                self._pending.extend(order.jobs)
            elif isinstance(order, wire.Stop):
                self._stopping = True
            elif isinstance(order, wire.Cancel):
                self._cancel(order)
            elif isinstance(order, wire.Batch):
                self._pending.extend(self._batches.as_orders(order))
            else:
                self._give_back()

    def _run_pending(self) -> None:
        pending, results, board, run, late = (
            self._pending,
            self._results,
            self._board,
            self._attempts.run_sync,
            self._late,
        )
        rung = ended = time.monotonic()
        while pending:
            job = pending.popleft()
            report = self._batches.run_sync(job) if isinstance(job, wire.Batch) else run(job)
            if late:
                self._send_late()
            results.put(wire.encode(report), bell=False)
            board.clear(0)
            began, ended = ended, time.monotonic()
            is_bell_due = not pending or ended - rung > BELL_PAUSE
            breach = self._trust.after_sync(whole=is_bell_due or ended - began > LONG_ENOUGH)
            if breach:
                self._end_untrusted(job, breach)
                return
            if is_bell_due:
                results.ring_bell()
                rung = ended

    def attend(self, *_signal: object) -> None:
        """Look at the orders although a task is running.

        Outside a task this is put off to the start of the next one. The guard also makes sure that
        neither ring is being worked on by the code that this handler interrupts.
        """
        attempts = self._attempts
        while attempts.in_task:
            attempts.in_task = False  # no time-out may strike in the middle of this
            attempts.missed = False
            try:
                self._obey(self._orders.get_nowait())
                self._send_late()
            finally:
                attempts.in_task = True
            if not attempts.missed:
                break  # else, another order has come meanwhile, perhaps after that look
        attempts.strike()

    def _send_note(self, note: bytes) -> None:
        """Send it now where the ring is certainly not in use: amid a task, in the main thread (a
        destructor may print at any time). Else it goes with the next note, or before the report.

        The bell is spared: as long as jobs run, the supervisor looks by itself.
        """
        is_first = not self._late
        self._late.append(note)
        if threading.get_ident() != self._main:
            if is_first or len(self._late) == 1:  # those before have just been sent
                signal.pthread_kill(self._main, ATTENTION)
        elif self._attempts.in_task:
            with self._attempts.undisturbed():
                self._send_late()

    def _send_late(self) -> None:
        while self._late:
            self._results.put(self._late.popleft(), bell=False)

    def _cancel(self, order: wire.Cancel) -> None:
        pair = order.claim, order.job
        if self._attempts.current == pair or pair in self._attempts.together:
            self._attempts.asked.add(pair)  # for `strike`
        pending = take_out(pair, self._pending, self._drop)
        self._pending.clear()
        self._pending.extend(pending)

    def _drop(self, job: wire.Job) -> None:
        self._results.put(wire.encode(wire.dropped(job)))

    def _end_untrusted(self, job: wire.Job | wire.Batch, breach: str) -> None:
        """Start nothing more. If a bell is gone, this process's end rings in its place."""
        self._stopping = True
        self._results.put(wire.encode(wire.Untrusted(job.id, breach)), bell=False)
        try:
            self._obey(self._orders.get_nowait())
            self._give_back()
        except OSError:
            os._exit(0)

    def _give_back(self) -> None:
        jobs = [job.id for entry in self._pending for job in jobs_of(entry)]
        self._pending.clear()
        self._results.put(wire.encode(wire.Returned(jobs)))
