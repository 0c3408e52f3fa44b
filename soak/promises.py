"""What wsup promises of jobs that have to do with each other, held against the ledger's times."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from .allowed import crowds, exceeded
from .fates import Fate
from .judge import Problem
from .requests import Cancelled, Child, Keyed, Limited, Shared, Unique

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from .accounts import Accounts
    from .ledger import Execution
    from .requests import Filed

DEPENDENCY, CANCEL = "dependency broken", "ran though cancelled"
UNIQUE, KEY = "unique key broken", "key limit exceeded"


class Evidence(NamedTuple):
    """What the database and the ledger say of the jobs that requests name."""

    #: How each job has ended; None: not at all. What isn't in it isn't there.
    states: Mapping[int, str | None]
    executions: Mapping[int, Sequence[Execution]]
    #: What unique jobs have returned.
    results: Mapping[int, int]
    #: Host and pid of supervisors that others may have taken for dead while they lived: what their
    #: subworkers did then says nothing, for nobody could stop it.
    silenced: AbstractSet[tuple[int, int]]

    def trusted(self, job: int) -> list[Execution]:
        """Its executions, by their starts, but for those of silenced supervisors."""
        return sorted(
            (
                e
                for e in self.executions.get(job, ())
                if (e.process.host, e.process.supervisor) not in self.silenced
            ),
            key=lambda e: e.start,
        )

    def last_seen(self, job: int) -> float | None:
        """When it last ran; None if it never did."""
        times = [e.start if e.end is None else e.end for e in self.trusted(job)]
        return max(times, default=None)


def standing(accounts: Accounts, present: bytearray) -> list[Filed]:
    """The requests that count: committed, or of an unknown fate and nevertheless done."""

    def counts(filed: Filed) -> bool:
        job, fate = filed.request.job, accounts.fate(filed.request.job)
        is_there = job < len(present) and bool(present[job])
        if filed.fate is Fate.COMMITTED:
            return is_there
        # An id that was never committed may be another job's by now.
        made = isinstance(filed.request, Child | Keyed | Limited | Shared) or (
            isinstance(filed.request, Unique) and filed.request.made == "new"
        )
        return is_there and (not made or fate is Fate.UNKNOWN)

    return [filed for filed in accounts.requests if counts(filed)]


def may_be_cancelled(filed: Iterable[Filed], states: Mapping[int, str | None]) -> set[int]:
    """The jobs for which there is a reason."""
    return {
        request.job
        for request, _fate, _at in filed
        if isinstance(request, Cancelled)
        or (isinstance(request, Child) and _culprits(request, states))
    }


def broken(filed: Sequence[Filed], evidence: Evidence) -> list[Problem]:
    """What was not kept."""
    found = [*_dependencies(filed, evidence), *_cancellations(filed, evidence)]
    found += [*_unique_keys(filed, evidence), *_key_limits(filed, evidence)]
    return [*found, *exceeded(_of_limited_tasks(filed, evidence))]


def _problem(kind: str, text: str, evidence: Evidence, *jobs: int) -> Problem:
    lines = []
    for job in jobs:
        lines += [str(e) for e in evidence.executions.get(job, ())]
        lines.append(f"job {job}: {evidence.states.get(job)}")
    return Problem(kind, text, lines)


# dependencies -----------------------------------------------------------------------------------


def _culprits(child: Child, states: Mapping[int, str | None]) -> list[int]:
    """The parents because of which it must not run."""
    return [parent for parent in child.after if states.get(parent) != "succeeded"]


def _dependencies(filed: Iterable[Filed], evidence: Evidence) -> Iterator[Problem]:
    for request, _fate, _at in filed:
        if not isinstance(request, Child):
            continue
        job, ran = request.job, evidence.trusted(request.job)
        for culprit in _culprits(request, evidence.states)[:1]:
            if ran or evidence.states[job] != "cancelled":
                text = (
                    f"job {job}: {evidence.states[job]}, though its parent {culprit} was not well"
                )
                yield _problem(DEPENDENCY, text, evidence, job, culprit)
        for parent in (*request.after, *request.after_lax):
            over = evidence.last_seen(parent)
            if ran and over is not None and ran[0].start < over:
                text = f"job {job} began before its parent {parent} was over"
                yield _problem(DEPENDENCY, text, evidence, job, parent)


# cancelling -------------------------------------------------------------------------------------


def _cancellations(filed: Iterable[Filed], evidence: Evidence) -> Iterator[Problem]:
    for request, fate, at in filed:
        if not isinstance(request, Cancelled) or fate is not Fate.COMMITTED:
            continue
        job, answer, state = request.job, request.answer, evidence.states[request.job]
        later = [e for e in evidence.trusted(job) if e.start > at]
        # Who holds it may hear of it only when it has begun: once.
        most = 1 if answer == "cancelling" else 0
        if len(later) > most:
            text = f"job {job} began {len(later)} times after {at:.6f}, the answer {answer!r}"
            yield _problem(CANCEL, text, evidence, job)
        if answer not in ("cancelling", state):
            text = f"job {job}: {state}, after the answer {answer!r}"
            yield _problem(CANCEL, text, evidence, job)


# unique keys ------------------------------------------------------------------------------------


def _unique_keys(filed: Iterable[Filed], evidence: Evidence) -> Iterator[Problem]:
    made: dict[str, list[Unique]] = defaultdict(list)
    versions: dict[int, set[int]] = {}
    # In the order in which they held their key: the next one gets no answer before a commit.
    answers = [f for f in filed if isinstance(f.request, Unique)]
    answers.sort(key=lambda f: f.request.answered if isinstance(f.request, Unique) else 0)
    for request, fate, _at in answers:
        if not isinstance(request, Unique) or request.made == "existing":
            continue
        if request.made == "new":
            made[request.key].append(request)
        if fate is Fate.COMMITTED:
            versions[request.job] = set()
        versions.setdefault(request.job, set()).add(request.version)
    for key, jobs in made.items():
        for before, after in pairwise(jobs):
            over = evidence.last_seen(before.job)
            if over is not None and over > after.answered:
                text = f"key {key}: job {after.job} was made when job {before.job} was not over"
                yield _problem(UNIQUE, text, evidence, before.job, after.job)
    for job, possible in versions.items():
        if job in evidence.results and evidence.results[job] not in possible:
            text = f"job {job} returned {evidence.results[job]}, not {sorted(possible)}"
            yield _problem(UNIQUE, text, evidence, job)


# keys -------------------------------------------------------------------------------------------


def _key_limits(filed: Iterable[Filed], evidence: Evidence) -> Iterator[Problem]:
    ran: dict[tuple[str, int], list[Execution]] = defaultdict(list)
    for request, _fate, _at in filed:
        if isinstance(request, Keyed):
            ran[request.key, request.limit] += evidence.trusted(request.job)
    for (key, limit), executions in ran.items():
        for running in crowds(executions, limit):
            text = f"key {key}: {len(running)} jobs ran at once, not {limit}"
            yield _problem(KEY, text, evidence, *(e.job for e in running))


# limits of tasks --------------------------------------------------------------------------------


def _of_limited_tasks(filed: Iterable[Filed], evidence: Evidence) -> dict[str, list[Execution]]:
    ran: dict[str, list[Execution]] = defaultdict(list)
    for request, _fate, _at in filed:
        if isinstance(request, Limited):
            ran[request.task] += evidence.trusted(request.job)
    return ran
