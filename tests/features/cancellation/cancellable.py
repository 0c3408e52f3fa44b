"""Tasks to be cancelled: in an app of sync ones only, and in one that has async ones, too."""

import asyncio
import mmap
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from wsup import App, CancelRequested, Retry, Snooze, current_job

sync, both = App(), App()


def task(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for app in (sync, both):
            app.task(name=function.__name__, **options)(function)
        return function

    return register


def note(path: str) -> None:
    """One line, in one write, so that lines of several processes don't mix."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{current_job().id} {current_job().attempt} {os.getpid()}\n".encode())
    os.close(fd)


def react(how: str) -> str:
    """What a task does with the exception that it has caught."""
    if how == "fail":
        raise ValueError("out of order")
    if how == "snooze":
        raise Snooze(0)
    if how == "retry":
        raise Retry(after=0)
    return "caught"


@task(retries=3, backoff=0.01)
def wait(path: str, started: str, how: str = "") -> str:
    """Until the file is there. Whenever it is told to cease after its note, it reacts."""
    noted = False
    while True:
        try:
            if not noted:
                noted = True
                note(started)
            if how == "c code":
                sum(range(10**12))
            while not Path(path).exists():
                time.sleep(1000 if how == "sleep" else 0.002)
        except CancelRequested:
            if how == "ignore":
                continue
            if how in ("", "sleep", "c code"):
                raise
            return react(how)
        return "seen"


@task()
def work(ledger: str, milliseconds: float) -> None:
    """Notes that it has begun, and is busy for a while."""
    note(ledger)
    end = time.perf_counter() + milliseconds / 1000
    while time.perf_counter() < end:
        pass


@task()
def deaf(started: str, path: str) -> None:
    """In C code that never lets go of the interpreter, where no signal is heard, until the first
    byte of the file is 1."""
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        note(started)
        sum(iter(partial(view.__getitem__, 0), 1))


@both.task(name="wait_async", retries=3, backoff=0.01)
async def wait_async(path: str, started: str, how: str = "") -> str:
    note(started)
    while not Path(path).exists():
        try:
            await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            if how == "ignore":
                continue
            if not how:
                raise
            return react(how)
    return "seen"


@both.task(name="work_async")
async def work_async(ledger: str, milliseconds: float) -> None:
    note(ledger)
    await asyncio.sleep(milliseconds / 1000)
