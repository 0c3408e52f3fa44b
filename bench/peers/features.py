"""What jobs cost that use a feature, beside plain ones: by `bench.kinds`, `bench.retention`.

wsup's alone. Each run has a warm supervisor of the working tree, and its own plain jobs for
comparison, drained in turn in the same database.
"""

from __future__ import annotations

from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from .. import kinds
from .. import retention as pruning
from ..errors import BenchError
from .errors import PeerFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .stage import Stage


def keys(stage: Stage, _task: str) -> dict[str, float]:
    """Jobs in turn of one of 1,000 serial keys."""
    return _of_a_kind(stage, "keys")


def chains(stage: Stage, _task: str) -> dict[str, float]:
    """1,000 chains, each job of which waits for the one before."""
    return _of_a_kind(stage, "chains")


def fans(stage: Stage, _task: str) -> dict[str, float]:
    """Ten times one job, all that wait for it, and the last, which waits for all of these."""
    return _of_a_kind(stage, "fans")


def _of_a_kind(stage: Stage, name: str) -> dict[str, float]:
    names = (kinds.PLAIN, name)
    with _told():
        rates = kinds.measure(stage.bench.server, [stage.folder], names, stage.jobs, rounds=1)
    plain, rate = (rates[each][0] for each in names)
    return {"rate": rate, "plain": plain, "kept": rate / plain}


def retention(stage: Stage, _task: str) -> dict[str, float]:
    """Plain jobs while finished ones are removed, and while none are."""
    with _told():
        found = pruning.measure(stage.bench.server, stage.folder, stage.beside, stage.jobs)
    rate, without = median(found.busy), median(found.quiet)
    return {
        "rate": rate,
        "without": without,
        "kept": rate / without,
        "removed": stage.beside / found.seconds,
    }


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong ends this run, and not all others."""
    try:
        yield
    except BenchError as error:
        raise PeerFailed(str(error)) from None
