"""The bodies of the tasks, the same for all systems: an adapter registers these functions.

Each takes the number of its job, and puts the time at which it began into the ledger.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import inspect
import random
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from . import environment
from .ledger import Ledger

#: Seconds that `nap` sleeps.
NAP: Final = 0.05
#: Seconds between two looks of `occupy` whether it is to end.
LOOK_AGAIN: Final = 0.02
#: 10 KB that don't compress.
_FILLING: Final = base64.b64encode(random.Random(1).randbytes(7500)).decode()
_ledger: list[Ledger] = []


def begin(number: int) -> None:
    """Write the time into the ledger. The first job of a process opens it."""
    now = time.monotonic_ns()
    if not _ledger:
        _ledger.append(Ledger(environment.LEDGER))
    ledger = _ledger[0]
    if not ledger.started[number]:
        ledger.started[number] = now
    ledger.runs[number] += 1


def noop(number: int) -> int:
    """Nothing."""
    begin(number)
    return number


class Flaked(Exception):
    """Try it again."""


def flaky(number: int) -> int:
    """Nothing, but at its first attempt, and at the third …"""
    begin(number)
    if _ledger[0].runs[number] % 2:
        raise Flaked
    return number


def large(number: int, text: str) -> str:
    """10 KB go in, and come out."""
    begin(number)
    return text


def cpu(number: int) -> int:
    """1 ms of CPU, as calibrated."""
    begin(number)
    burn(environment.TURNS)
    return number


async def nap(number: int) -> int:
    """Waits, as for an answer from a server."""
    begin(number)
    await asyncio.sleep(NAP)
    return number


def sleep_seconds(number: int) -> float:
    """300 to 700 ms, another time for each job, the same for all systems in all languages."""
    return 0.3 + 0.4 * (number * 2_654_435_761 % 2**32) / 2**32


def sleep(number: int) -> int:
    """Waits without saying so."""
    begin(number)
    time.sleep(sleep_seconds(number))
    return number


def pause5(number: int) -> int:
    """Waits 5 ms."""
    begin(number)
    time.sleep(0.005)
    return number


def pause50(number: int) -> int:
    """Waits 50 ms."""
    begin(number)
    time.sleep(0.05)
    return number


def pause500(number: int) -> int:
    """Waits half a second."""
    begin(number)
    time.sleep(0.5)
    return number


async def occupy(number: int) -> int:
    """Goes on until the harness says, by the job's line in the ledger, that it was enqueued."""
    begin(number)
    while not _ledger[0].called[number]:  # noqa: ASYNC110  (another process says so)
        await asyncio.sleep(LOOK_AGAIN)
    return number


async def _sleep(number: int) -> int:
    begin(number)
    await asyncio.sleep(sleep_seconds(number))
    return number


def as_async(body: Callable[..., Any]) -> Callable[..., Any]:
    """The same as an async function, for systems that would send a plain one to a thread."""
    if body is sleep:
        return _sleep
    if inspect.iscoroutinefunction(body):
        return body

    @functools.wraps(body)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        return body(*args, **kwargs)

    return awaited


def burn(turns: int) -> None:
    """What takes so many turns of a loop."""
    for _ in range(turns):
        pass


class Task(NamedTuple):
    """One of them."""

    body: Callable[..., Any]
    #: The arguments of a job by name, and the result that it must have.
    args: Callable[[int], dict[str, Any]]
    result: Callable[[int], Any]


def _number(number: int) -> dict[str, Any]:
    return {"number": number}


def _text(number: int) -> str:
    return f"{number:08d}{_FILLING}"


BODIES: Final = {
    "noop": Task(noop, _number, int),
    "flaky": Task(flaky, _number, int),
    "large": Task(large, lambda n: {"number": n, "text": _text(n)}, _text),
    "cpu": Task(cpu, _number, int),
    "nap": Task(nap, _number, int),
    "sleep": Task(sleep, _number, int),
    "occupy": Task(occupy, _number, int),
    "pause5": Task(pause5, _number, int),
    "pause50": Task(pause50, _number, int),
    "pause500": Task(pause500, _number, int),
}
