"""The tasks that the crash tests run, in a file of their own in each supervisor's folder."""

import asyncio
import gc
import os
import select
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from wsup import App, Cancel, Retry, Snooze, current_job
from wsup.subworkers.ring import Sender

VERSION = 1
IMPORTED_BY = os.getpid()
app = App()


@app.task(name="noop")
def noop() -> None:
    pass


@app.task(name="add")
def add(a: int, b: int) -> int:
    return a + b


@app.task(name="version")
def version() -> int:
    return VERSION


@app.task(name="wall_clock")
def wall_clock() -> str:
    return datetime.now(UTC).isoformat()


@app.task(name="where")
def where() -> dict[str, int]:
    job = current_job()
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "group": os.getpgrp(),
        "imported_by": IMPORTED_BY,
        "subworker": job.subworker,
        "attempt": job.attempt,
        "id": job.id,
        "frozen": gc.get_freeze_count(),
    }


@app.task(name="fail", retries=2, backoff=0.05)
def fail() -> None:
    raise ValueError("no luck")


@app.task(name="wait_for_file")
def wait_for_file(path: str, started: str = "") -> str:
    """Runs until the file is there; appends a line to `started` at the start."""
    if started:
        note(started)
    while not Path(path).exists():
        select.select([], [], [], 0.005)  # libfaketime gets time.sleep wrong
    return "seen"


@app.task(name="run_program")
def run_program(folder: str) -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        Path(folder, str(child.pid)).touch()


@app.task(name="wait_async")
async def wait_async(path: str, started: str = "") -> str:
    if started:
        note(started)
    while not Path(path).exists():
        await asyncio.sleep(0.005)
    return "seen"


@app.task(name="die", retries=1, backoff=0.05)
def die(how: str = "SIGKILL") -> None:
    os.kill(os.getpid(), signal.Signals[how])
    time.sleep(10)


@app.task(name="die_once", retries=0)
def die_once(path: str) -> str:
    if Path(path).exists():
        return "alive"
    Path(path).touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


@app.task(name="leave")
def leave() -> None:
    os._exit(3)


@app.task(name="snooze")
def snooze(path: str) -> int:
    if not Path(path).exists():
        Path(path).touch()
        raise Snooze(0.05)
    return current_job().attempt


@app.task(name="cancel")
def cancel() -> None:
    raise Cancel("not today")


@app.task(name="retry", retries=3)
def retry() -> int:
    if current_job().attempt < 3:
        raise Retry(after=0.01)
    return current_job().attempt


@app.task(name="big")
def big(size: int) -> str:
    return "x" * size


@app.task(name="length")
def length(text: str) -> int:
    return len(text)


@app.task(name="damage")
def damage(sent: str) -> None:
    """Puts bytes (hex) into the ring of results, as a wild pointer would."""
    sender = next(thing for thing in gc.get_objects() if isinstance(thing, Sender))
    sender._write(memoryview(bytes.fromhex(sent)))
    sender.ring_bell()
    time.sleep(60)


@app.task(name="nap")
def nap(seconds: float) -> None:
    time.sleep(seconds)


@app.task(name="slow", timeout=0.1)
def slow() -> None:
    time.sleep(30)


@app.task(name="slow_async", timeout=0.1)
async def slow_async() -> None:
    await asyncio.sleep(30)


@app.task(name="talk")
def talk() -> None:
    print("from a task, on stdout")
    os.write(1, b"\x00\xff raw bytes\n")
    sys.stderr.write("and on stderr\n")


@app.task(name="count")
def count(path: str) -> None:
    note(path)


def note(path: str) -> None:
    """One line, in one write, so that lines of several processes don't mix."""
    line = f"{current_job().id} {current_job().attempt} {os.getpid()}\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, line.encode())
    os.close(fd)
