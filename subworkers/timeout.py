"""How long an attempt may take."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from . import wire
from .board import Board
from .context import LONGEST_WAIT
from .contract import RunnableTask
from .job_options import JobOptions
from .limits import NO_LIMITS, Limits

A = TypeVar("A")


class TimedOut(Exception):
    """The attempt took longer than its time-out."""


def allowed(
    job: wire.Job, options: JobOptions, task: RunnableTask, bounds: Limits, board: Board
) -> tuple[float | None, str]:
    """Seconds that the attempt may take, and what is said when they are over. Raises Expired,
    DeadlinePassed if they are over by now."""
    timeout = options.timeout or task.timeout
    if bounds is not NO_LIMITS:
        left = bounds.seconds_left(job.attempt, board.server_time())
        if left is not None and (timeout is None or left < timeout):
            return min(left, LONGEST_WAIT), bounds.reached
    return timeout and min(timeout, LONGEST_WAIT), "the time-out was reached"


def ended_at(error: BaseException, bounds: Limits, board: Board) -> float | None:
    """When an attempt has ended, by the server's clock. One that its deadline has ended did so at
    that, whatever the clock says by now: it is corrected at each beat."""
    if type(error) is TimedOut and error.args == (bounds.reached,):  # a class may lie
        return bounds.deadline
    return board.server_time()


async def within(
    call: Callable[[A], Any],
    args: A,
    timeout: float | None,  # noqa: ASYNC109
    late: str,
) -> Any:
    """Await an async task's function, and interrupt it when its time is over, saying `late`."""
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            return await call(args)
    except TimeoutError as error:
        if limit.expired():
            raise TimedOut(late) from error
        raise
