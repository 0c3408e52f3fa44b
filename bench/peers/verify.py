"""Afterwards: has every job run, and is everything that the system keeps of it right?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import JobsWrong

if TYPE_CHECKING:
    from .stage import Stage


def verify(stage: Stage, task: str) -> int:
    """All jobs of a run that is over. How many ran more than once; raises JobsWrong."""
    jobs = stage.jobs
    runs = stage.ledger.runs.tolist()
    if lost := runs.count(0):
        raise JobsWrong(f"{lost:,} of {jobs:,} jobs never ran")
    found = stage.client.ask("check", task=task, count=jobs)
    if (found["done"], found["failed"], found["left"]) != (jobs, 0, 0):
        raise JobsWrong(
            f"of {jobs:,} jobs it says that {found['done']:,} are done, {found['failed']:,} "
            f"failed, {found['left']:,} left"
        )
    keeps = stage.installed.system.keeps_results
    if keeps and found["results"] != jobs:
        raise JobsWrong(f"of {jobs:,} results {found['results'] or 0:,} are there and right")
    return sum(1 for count in runs if count > 1)


def verify_waiting(stage: Stage, task: str) -> None:
    """All jobs of a run without workers: are they there? Raises JobsWrong."""
    found = stage.client.ask("check", task=task, count=0)
    if (found["done"], found["failed"], found["left"]) != (0, 0, stage.jobs):
        raise JobsWrong(f"of {stage.jobs:,} enqueued jobs {found['left']:,} are there")
