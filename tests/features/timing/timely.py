"""Tasks with limits of their own, and such as take their time."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

from wsup import App, Retry, Snooze, current_job

app = App()


def note(path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{current_job().id} {current_job().attempt}\n".encode())
    os.close(file)


@app.task(name="touch")
def touch(path: str) -> None:
    note(path)


@app.task(name="touch_async")
async def touch_async(path: str) -> None:
    note(path)


@app.task(name="brief", expires=0.2, deadline=3600)
def brief(path: str) -> None:
    note(path)


@app.task(name="linger", retries=5, backoff=0.0)
def linger(path: str) -> float | None:
    """Goes on until it is interrupted, or the file is there."""
    note(path)
    left = current_job().seconds_left()
    while not Path(path + ".go").exists():
        time.sleep(0.005)
    return left


@app.task(name="linger_async", retries=5, backoff=0.0)
async def linger_async(path: str) -> float | None:
    note(path)
    left = current_job().seconds_left()
    while not Path(path + ".go").exists():
        await asyncio.sleep(0.005)
    return left


@app.task(name="stubborn", retries=5, backoff=0.0)
def stubborn(path: str) -> None:
    note(path)
    while True:
        with suppress(Exception):
            time.sleep(600)


@app.task(name="fail", retries=5, backoff=0.0)
def fail(path: str, after: float = 0.0) -> None:
    note(path)
    raise Retry(after=after, reason="no luck")


@app.task(name="die", retries=5, backoff=3600.0)
def die(path: str) -> None:
    note(path)
    os.kill(os.getpid(), 9)
    time.sleep(60)


@app.task(name="snooze")
def snooze(path: str) -> None:
    note(path)
    raise Snooze(1.1)
