"""When a turn is due, and what becomes of what it has brought."""

import asyncio

import pytest
from road import succeeded
from told import Told

from wsup.sql.answers import Row, Turn


class Prompt:
    """Has its answers before anybody waits for them, as a driver has who finds them on the socket
    at the first look."""

    connected = promotes = True
    said_asleep = False

    def __init__(self, *answers: Turn) -> None:
        self._answers = list(answers)

    async def turn(
        self, entries: object, pull: object, *, promote: int = 0, notes: object = ()
    ) -> Turn:
        return self._answers.pop(0)


def test_turns_that_never_wait_lose_no_job() -> None:
    rows: list[Row] = [(1, job, 1, "noop", "default", "{}", None) for job in range(3)]

    async def work() -> None:
        told = Told(Prompt(*(Turn([row]) for row in rows)), batch=1)
        told.turns.pulling, told.wanted = True, 10
        told.finish([succeeded(row) for row in rows])  # so that what comes is handed out later
        for _ in rows:
            await told.turns.take()
        await asyncio.sleep(0)
        assert told.rows == rows

    asyncio.run(work())


@pytest.mark.parametrize(
    ("passed", "ended", "ending", "is_due"),
    [(1, 499, 10, False), (1, 500, 10, True), (1, 3, 0, True), (0, 3, 0, False)],
)
def test_where_each_end_lets_another_job_in_nobody_waits_for_long_ones(
    passed: int, ended: int, ending: int, is_due: bool
) -> None:
    """A turn is due with half of the 1,000 that are held, or once no other one is about to end."""
    row: Row = (1, 1, 1, "noop", "default", "{}", None)

    async def work() -> None:
        told = Told(Prompt(Turn(passed=passed)), batch=2000)
        told.finish([succeeded(row)])
        await told.turns.take()
        told.finish([succeeded(row)] * ended)
        told.ending = ending
        told.turns.consider()
        assert told.turns._due.is_set() == is_due

    asyncio.run(work())
