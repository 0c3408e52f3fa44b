"""Batch tasks, in an app of sync ones only and in one that has async ones, too."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsup import App, Cancel, CancelRequested, Retry, Snooze, current_batch

sync, both = App(), App()


@dataclass
class Parcel:
    folder: str
    #: What is to become of it; in the first attempt only: "raise", "short", "wait", "stubborn" are
    #: for the whole call.
    how: str = ""


def task(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for app in (sync, both) if not asyncio.iscoroutinefunction(function) else (both,):
            app.task(name=function.__name__, **options)(function)
        return function

    return register


def begin(parcels: list[Parcel]) -> str:
    """Note the call: its jobs and their attempts. Returns what is to become of it."""
    jobs = current_batch()
    line = f"{os.getpid()} " + " ".join(f"{job.id}:{job.attempt}" for job in jobs) + "\n"
    fd = os.open(Path(parcels[0].folder) / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, line.encode())
    os.close(fd)
    first = {p.how for p, job in zip(parcels, jobs, strict=True) if job.attempt == 1}
    whole = first & {"raise", "short", "wait", "stubborn"}
    if "raise" in whole:
        raise ValueError("no van")
    return next(iter(whole), "")


def end(parcels: list[Parcel]) -> list[str | Exception]:
    ends: list[str | Exception] = []
    for parcel, job in zip(parcels, current_batch(), strict=True):
        match parcel.how if job.attempt == 1 else "":
            case "fail":
                ends.append(ValueError("broken"))
            case "retry":
                ends.append(Retry(after=0, reason="nobody at home"))
            case "cancel":
                ends.append(Cancel("moved"))
            case "snooze":
                parcel_file = Path(parcel.folder) / f"snoozed{job.id}"
                ends.append("sent" if parcel_file.exists() else Snooze(0))
                parcel_file.touch()
            case "no JSON":
                ends.append(object())  # type: ignore[arg-type]
            case _:
                ends.append(f"sent {job.id}")
    return ends[1:] if "short" in {p.how for p in parcels} else ends


def go(parcels: list[Parcel]) -> bool:
    return (Path(parcels[0].folder) / "go").exists()


@task(batch=10, batch_wait=1.0, retries=1, backoff=0)
def send(parcels: list[Parcel]) -> list[str | Exception]:
    how = begin(parcels)
    while how in ("wait", "stubborn") and not go(parcels):
        try:
            time.sleep(0.005)
        except CancelRequested:
            if how != "stubborn":
                raise
    return end(parcels)


@task(batch=10, batch_wait=1.0, retries=1, backoff=0)
async def send_async(parcels: list[Parcel]) -> list[str | Exception]:
    how = begin(parcels)
    while how in ("wait", "stubborn") and not go(parcels):
        await asyncio.sleep(0.005)
    return end(parcels)


@task(batch=10, batch_wait=0, retries=1, backoff=0, timeout=0.2)
def send_in_time(parcels: list[Parcel]) -> list[str | Exception]:
    return send(parcels)


@task(batch=10, batch_wait=0, retries=1, backoff=0, timeout=0.2)
async def send_in_time_async(parcels: list[Parcel]) -> list[str | Exception]:
    return await send_async(parcels)


@task(batch=1000, batch_wait=60)
def store(parcels: list[Parcel]) -> None:
    """Seldom has enough of them."""


@task(batch=3, batch_wait=0.1)
def weigh(parcels: list[int]) -> None:
    begin([Parcel(".")])


@task()
def single() -> None:
    """Does nothing, for one job."""
