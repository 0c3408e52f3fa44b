"""Windmill's figures for its own batch pull, by its authors' formulas, to stand beside ours.

Milliseconds a job and worker with N workers, of jobs that its workers run natively, over HTTP. Two
parameters from two points each (8 and 24 workers), so there is nothing left to judge the fit by.
Both are Universal Scalability Laws: a + b·N has contention b / (a + b) and no coherence; in
a + c·N² both are c / (a + c).
"""

from __future__ import annotations

from typing import Any

#: Workers, batched and one by one: jobs a second that were measured.
MEASURED = ((8, 108, 88), (24, 291, 253))


def batched(places: Any) -> Any:
    """Jobs a second."""
    return 1000 * places / (69.9 + 0.525 * places)


def one_by_one(places: Any) -> Any:
    """Jobs a second."""
    return 1000 * places / (90.4 + 0.0078 * places**2)
