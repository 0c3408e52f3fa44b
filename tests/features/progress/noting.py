"""Tasks that say how far they are, in an app of sync ones only, and in one with async ones, too."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wsup import App, current_job

sync, both = App(), App()


def task(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for app in (sync, both):
            app.task(name=function.__name__, **options)(function)
        return function

    return register


def await_file(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.005)


@task()
def sheets(path: str) -> None:
    """Says where it is, twice at once, and then nothing until the file is there."""
    current_job().progress(0.25, "sheet 2 of 8")
    current_job().progress(0.4, "sheet 3 of 8\0 \ud800")
    await_file(path)
    current_job().progress(1, "all sheets")


@both.task(name="sheets_async")
async def sheets_async(path: str) -> None:
    current_job().progress(0.4, "sheet 3 of 8\0 \ud800")
    while not Path(path).exists():
        await asyncio.sleep(0.005)
    current_job().progress(1, "all sheets")


@task()
def quick() -> None:
    current_job().progress(0.5, "half")


@task()
def flood(seconds: float) -> int:
    """Says it as often as it can; returns how often."""
    n, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        n += 1
        current_job().progress(n / (n + 1), f"step {n}")
        current_job().checkpoint(n)
    return n


@task()
def nonsense() -> list[str]:
    said = []
    for fraction in (1.1, -0.1, float("nan"), "x", None):
        try:
            current_job().progress(fraction)  # type: ignore[arg-type]
        except ValueError as error:
            said.append(str(error))
    return said


@task(retries=3, backoff=0.01)
def steps(how: str, path: str = "") -> list[int]:
    """Goes on where the last attempt has stopped, and dies after two steps; returns the start of
    each attempt."""
    job = current_job()
    done = job.last_checkpoint(list[int]) or []
    start = sum(1 for step in done if step >= 0)
    done.append(-1 - start)
    for step in range(start, 4):
        done.append(step)
        job.checkpoint(done)
        if step == 1:
            end(how, path)
    return [-1 - step for step in done if step < 0]


@both.task(name="steps_async", retries=3, backoff=0.01)
async def steps_async(how: str, path: str = "") -> list[int]:
    return await asyncio.to_thread(steps, how, path)


def end(how: str, path: str) -> None:
    """Only in the first attempt, or it would never come to its end."""
    if how == "fail":
        raise ValueError("no luck")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait":
        Path(path + ".there").touch()
        await_file(path)


@task()
def too_much() -> list[str]:
    said = []
    for value in ("x" * 70_000, object(), float("nan"), "\ud800"):
        try:
            current_job().checkpoint(value)
        except ValueError as error:
            said.append(f"{type(error).__name__}: {error}")
    current_job().checkpoint({"kept": "\0"})
    try:
        current_job().last_checkpoint(int)
    except ValueError as error:
        said.append(f"{type(error).__name__}: {error}")
    return said
