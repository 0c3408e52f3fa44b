"""Jobs that stand in the way: the rate of those that can run, with them and without.

First a backlog is drained as it is, then another one with the obstacle beside it, in the same
database. Both times the first tenth is left out, and it goes until the last job has begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .drain import Watch, settle_disk
from .errors import JobsWrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage

#: Serial keys beside the busy one, as graphile-worker's issue 240 has it: 161 in all.
OTHER_KEYS = 160
#: Jobs of one request to the client.
CHUNK = 50_000


def deep(stage: Stage, task: str) -> dict[str, float]:
    """So many more jobs are ready, behind those that are measured."""
    without = _rate(stage, task, 0)
    _fill(stage, "fill", task, stage.jobs, stage.jobs + stage.beside)
    return _with_and_without(stage, task, _drained(stage, stage.jobs), without)


def tomorrow(stage: Stage, task: str) -> dict[str, float]:
    """So many are scheduled for tomorrow, with a higher priority."""
    without = _rate(stage, task, 0)
    _fill(stage, "fill_for_tomorrow", task, 2 * stage.jobs, stage.beside)
    figures = _with_and_without(stage, task, _rate(stage, task, stage.jobs), without)
    if begun := sum(1 for runs in stage.ledger.runs[2 * stage.jobs :] if runs):
        raise JobsWrong(f"{begun:,} of tomorrow's jobs ran today")
    return figures


def busy(stage: Stage, task: str) -> dict[str, float]:
    """So many wait behind one whose serial key is busy."""
    return _behind_a_key(stage, task, 0)


def busy_keys(stage: Stage, task: str) -> dict[str, float]:
    """Likewise, and those that can run have other serial keys."""
    return _behind_a_key(stage, task, OTHER_KEYS)


def _behind_a_key(stage: Stage, task: str, keys: int) -> dict[str, float]:
    without = _rate(stage, task, 0, keys)
    holder, ledger = 2 * stage.jobs, stage.ledger
    stage.client.ask("fill", task="occupy", first=holder, count=1, keys=1, prefix="busy")
    _fill(stage, "fill", task, holder + 1, stage.beside - 1, keys=1, prefix="busy")
    _fill(stage, "fill", task, stage.jobs, stage.jobs, keys=keys)

    def end() -> None:
        if not ledger.started[holder]:
            raise JobsWrong("the job that was to keep its key busy has not begun")
        if begun := sum(1 for runs in ledger.runs[holder + 1 :] if runs):
            raise JobsWrong(f"{begun:,} jobs ran while their serial key was busy")
        ledger.called[holder] = 1

    return _with_and_without(stage, task, _drained(stage, stage.jobs, end), without)


def _rate(stage: Stage, task: str, first: int, keys: int = 0) -> float:
    _fill(stage, "fill", task, first, stage.jobs, keys=keys)
    return _drained(stage, first)


def _fill(stage: Stage, verb: str, task: str, first: int, count: int, **keys: int | str) -> None:
    more = {name: value for name, value in keys.items() if value}
    for start in range(first, first + count, CHUNK):
        size = min(CHUNK, first + count - start)
        stage.client.ask(verb, task=task, first=start, count=size, **more)


def _drained(stage: Stage, first: int, end: Callable[[], None] | None = None) -> float:
    """Jobs a second, until all from `first` on, as many as are measured, have begun; then `end`."""
    settle_disk(stage)
    with stage.workers() as workers:
        watch = Watch(stage, workers, first)
        watch.until(first + stage.jobs // 10)
        counted, seconds = watch.timed_until(first + stage.jobs)
        if end is not None:
            end()
        workers.look()
        workers.stop()  # which lets running jobs end
    return counted / seconds


def _with_and_without(stage: Stage, task: str, rate: float, without: float) -> dict[str, float]:
    """What has begun is done, what is left is left. Raises JobsWrong."""
    everything = 2 * stage.jobs + stage.beside
    begun = everything - stage.ledger.runs.tolist().count(0)
    found = stage.client.ask("check", task=task, count=everything)
    done, failed, left = found["done"], found["failed"], found["left"]
    if (done + left, failed) != (everything, 0) or not 2 * stage.jobs <= done <= begun:
        raise JobsWrong(f"of {everything:,} jobs {begun:,} have begun, and it says: {found}")
    if stage.installed.system.keeps_results and found["results"] != done:
        raise JobsWrong(f"of {done:,} results {found['results']:,} are there and right")
    return {"rate": rate, "without": without, "kept": rate / without}
