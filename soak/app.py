"""The tasks of the soak. Each writes its starts and ends into the ledger."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import time
from typing import TYPE_CHECKING

from wsup import App, Backoff, Snooze, current_job

from .kinds import (
    FAIR,
    KINDS,
    MOST_AT_ONCE,
    MOST_ON_A_HOST,
    SAVED_UP,
    SPARE,
    STARTS_A_SECOND,
)
from .ledger import Event, Pen

if TYPE_CHECKING:
    from types import TracebackType

#: So that even what is retried often is over soon.
BACKOFF = Backoff(first=0.05, most=0.5)

app = App()
app.queue(FAIR, fair=True)
pen = Pen()


class Unlucky(Exception):
    """What failing tasks raise."""


@app.on_subworker_start
def open_book() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # crashing is our trade
    pen.open()


class Entry:
    """`with Entry():` writes the start and the end of the attempt that runs."""

    __slots__ = ("attempt", "job")

    def __enter__(self) -> Entry:
        current = current_job()
        self.job, self.attempt = current.id, current.attempt
        pen.write(self.job, self.attempt, Event.START)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        event = Event.OK
        if isinstance(error, Snooze):
            event = Event.SNOOZED
        elif error is not None:
            event = Event.FAILED
        pen.write(self.job, self.attempt, event)

    def crash(self, how: str) -> None:
        """End this process. "exit", "segv" or "kill"."""
        pen.write(self.job, self.attempt, Event.CRASHING)
        if how == "exit":
            os._exit(3)
        elif how == "segv":
            ctypes.string_at(0)
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="noop", queue="bulk", retries=SPARE, backoff=BACKOFF)
def noop(number: int) -> None:
    with Entry():
        pass


@app.task(name="nap", retries=SPARE, backoff=BACKOFF)
def nap(seconds: float) -> None:
    with Entry():
        time.sleep(seconds)


@app.task(name="nap_async", retries=SPARE, backoff=BACKOFF)
async def nap_async(seconds: float) -> None:
    with Entry():
        await asyncio.sleep(seconds)


@app.task(name="large", retries=SPARE, backoff=BACKOFF)
def large(text: str, size: int) -> str:
    """Large arguments, and a result of `size` characters."""
    with Entry():
        return (text * (size // len(text) + 1))[:size]


@app.task(name="snooze", retries=SPARE, backoff=BACKOFF)
def snooze(until: float) -> None:
    with Entry():
        if time.monotonic() < until:
            raise Snooze(0.2)


@app.task(name="fickle", retries=SPARE, backoff=BACKOFF)
def fickle() -> None:
    with Entry() as entry:
        if entry.attempt < (KINDS["fickle"].good_from or 0):
            raise Unlucky("not yet")


@app.task(name="doomed", retries=KINDS["doomed"].retries, backoff=BACKOFF)
def doomed() -> None:
    with Entry():
        raise Unlucky("never")


@app.task(name="child", retries=SPARE, backoff=BACKOFF)
def child(seconds: float) -> None:
    """Waits for others."""
    with Entry():
        time.sleep(seconds)


@app.task(name="unique", retries=SPARE, backoff=BACKOFF)
def unique(key: str, version: int, seconds: float) -> int:
    """Returns its version, so that it is known which call's arguments it had."""
    with Entry():
        time.sleep(seconds)
        return version


@app.task(name="limited", retries=SPARE, backoff=BACKOFF, max_running=MOST_AT_ONCE)
def limited(seconds: float) -> None:
    with Entry():
        time.sleep(seconds)


@app.task(name="hosted", retries=SPARE, backoff=BACKOFF, per_host=MOST_ON_A_HOST)
def hosted(seconds: float) -> None:
    with Entry():
        time.sleep(seconds)


@app.task(
    name="metered",
    retries=SPARE,
    backoff=BACKOFF,
    rate=f"{STARTS_A_SECOND}/second",
    burst=SAVED_UP,
    priority=100,  # so that who is let in starts at once
)
def metered() -> None:
    with Entry():
        pass


@app.task(name="shared", queue=FAIR, retries=SPARE, backoff=BACKOFF)
def shared(seconds: float) -> None:
    """Of a tenant."""
    with Entry():
        time.sleep(seconds)


@app.task(name="crash_once", retries=SPARE, backoff=BACKOFF)
def crash_once(how: str) -> None:
    with Entry() as entry:
        if entry.attempt < (KINDS["crash_once"].good_from or 0):
            entry.crash(how)


@app.task(name="crash", retries=KINDS["crash"].retries, backoff=BACKOFF)
def crash(how: str) -> None:
    with Entry() as entry:
        entry.crash(how)
