"""Jobs that sleep: how much of their places the workers keep filled.

From the start of the job that ends the first tenth to the start of the last one, so that start and
drain are left out: the time really slept by all jobs, by what so many places could have slept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import drain
from .inside.bench_peer.tasks import sleep_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .stage import Stage

#: The jobs before those that are counted: some 3 s of them, because the server's counters of
#: transactions are up to a second late, and would show what the start took.
LEAD = 0.25
#: Jobs at a time, for each of the two workloads.
PLACES = {"sleep": 8, "sleep24": 24}


def measure(stage: Stage, task: str) -> dict[str, float]:
    """A drain, and `filled`: 1 if no place was ever empty."""
    figures = drain.measure(stage, task, LEAD)
    seconds = [sleep_seconds(number) for number in range(stage.jobs)]
    started = [nanoseconds / 1e9 for nanoseconds in stage.ledger.started]
    return figures | {"filled": filled(started, seconds, PLACES[stage.workload])}


def filled(started: Sequence[float], seconds: Sequence[float], places: int) -> float:
    """The share of the places in which somebody slept."""
    in_order = sorted(started)
    first, last = in_order[len(in_order) // 10], in_order[-1]
    slept = sum(
        max(0.0, min(last, begin + length) - max(first, begin))
        for begin, length in zip(started, seconds, strict=True)
    )
    return slept / places / (last - first)
