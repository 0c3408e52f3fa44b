"""The audit: the ledger, the accounts and the database, held against each other for every job."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from . import promises
from .fates import Fate
from .faults import SUBWORKER, SUPERVISOR, Fault
from .judge import UNWRITTEN, Case, Failure, Judge, Problem
from .kinds import KINDS
from .ledger import Book, Event, Execution, Process, books
from .statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Set
    from pathlib import Path

    import psycopg

    from .accounts import Accounts

    Connection = psycopg.Connection[tuple[Any, ...]]

#: Seconds after a supervisor's death at which none of its subworkers may write any more.
ORPHANED = 1.0


class Findings(NamedTuple):
    problems: list[Problem]
    #: Jobs by state.
    states: Counter[str]
    executions: int
    explained: Counter[str]


class Tally(NamedTuple):
    """How often each job has started, has ended well, and whether anything else is to be said."""

    starts: bytearray
    ends: bytearray
    odd: bytearray
    crashed: set[Process]
    orphans: list[Problem]

    def is_plain(self, job: int) -> bool:
        """One start and one end, at the first attempt."""
        return self.starts[job] == 1 and self.ends[job] == 1 and not self.odd[job]


def audit(
    connection: Connection,
    folder: Path,
    accounts: Accounts,
    faults: Sequence[Fault],
    *,
    by_lease: bool = False,
) -> Findings:
    """Raises ValueError for a ledger that contradicts itself."""
    found = books(folder)
    top = _top(connection, accounts, found)
    tally = _tally(found, top, faults)
    present, states, suspects, problems = _outcomes(
        connection, tally, top, accounts.requests.jobs()
    )
    problems += tally.orphans
    executions = _executions(found, suspects.keys() | _strangers(tally, present))
    problems += _unwanted(tally, present, accounts, executions)
    judge = Judge(faults, tally.crashed, by_lease=by_lease)
    failures = _failures(connection, suspects.keys())
    requests = promises.standing(accounts, present)
    ends = {job: outcomes[0][0] if outcomes else None for job, (_, outcomes) in suspects.items()}
    results: dict[int, int] = dict(connection.execute(statement("versions")).fetchall())
    evidence = promises.Evidence(ends, executions, results, judge.silenced)
    problems += promises.broken(requests, evidence)
    cancellable = promises.may_be_cancelled(requests, ends)
    explained: Counter[str] = Counter()
    for job, (task, outcomes) in suspects.items():
        case = Case(job, KINDS[task], outcomes, executions[job], failures[job], job in cancellable)
        verdict = judge.judge(case)
        explained += verdict.explained
        problems += [_problem(case, text) for text in verdict.problems]
    problems += _too_many(explained, tally, faults)
    for (job,) in connection.execute(statement("sizes")):
        problems.append(Problem("wrong result", f"job {job}: a result of another size"))
    for (job,) in connection.execute(statement("orphans")):
        problems.append(Problem("outcome without job", f"job {job}"))
    return Findings(problems, states, sum(tally.starts), explained)


def _too_many(explained: Counter[str], tally: Tally, faults: Iterable[Fault]) -> list[Problem]:
    """A process that dies takes at most one job with it that had not written its first line."""
    deaths = len(tally.crashed) + sum(fault.kind == SUBWORKER for fault in faults)
    if explained[UNWRITTEN] <= deaths:
        return []
    text = f"{explained[UNWRITTEN]} attempts failed without a line, and {deaths} processes died"
    return [Problem("unexplained", text)]


def _problem(case: Case, text: str) -> Problem:
    kind = "wrong end"
    if "no fault explains" in text or "at once" in text:
        kind = "unexplained"
    elif text.endswith("outcomes"):
        kind = "lost" if not case.outcomes else "doubled"
    lines = [str(e) for e in sorted(case.executions, key=lambda e: e.start)]
    lines += [f"outcome {state} at attempt {attempt}" for state, attempt in case.outcomes]
    lines += [str(failure) for failure in case.failures]
    return Problem(kind, f"job {case.job} ({case.kind.name}): {text}", lines)


def _top(connection: Connection, accounts: Accounts, found: Iterable[Book]) -> int:
    """One more than the largest job id that anybody knows of."""
    row = connection.execute(statement("last_id")).fetchone()
    top = max(row[0] if row else 0, accounts.top)
    for book in found:
        top = max(top, max((record[0] for record in book.raw()), default=0))
    return top + 1


def _tally(found: Iterable[Book], top: int, faults: Iterable[Fault]) -> Tally:
    tally = Tally(bytearray(top), bytearray(top), bytearray(top), set(), [])
    starts, ends, odd = tally.starts, tally.ends, tally.odd
    killed = {(f.host, f.pid): f for f in faults if f.kind == SUPERVISOR}
    for book in found:
        at = 0.0
        for job, at, _pid, attempt, event, _thread in book.raw():  # noqa: B007  (the last one)
            if event == Event.START:
                starts[job] += starts[job] < 255
            elif event == Event.OK:
                ends[job] += ends[job] < 255
            else:
                odd[job] = 1
                if event == Event.CRASHING:
                    tally.crashed.add(book.process)
            if attempt != 1:
                odd[job] = 1
        death = killed.get((book.process.host, book.process.supervisor))
        if death is not None and at > death.began + ORPHANED:
            text = f"{book.process} went on after {death}"
            tally.orphans.append(Problem("orphan", text))
    return tally


def _outcomes(
    connection: Connection, tally: Tally, top: int, watched: Set[int]
) -> tuple[bytearray, Counter[str], dict[int, tuple[str, list[tuple[str, int]]]], list[Problem]]:
    """The jobs that there are, their states, and those that need a closer look."""
    present = bytearray(top)
    states: Counter[str] = Counter()
    suspects: dict[int, tuple[str, list[tuple[str, int]]]] = {}
    plain_kinds = {kind.name for kind in KINDS.values() if kind.good_from == 1}
    twice: list[int] = []
    with connection.cursor(name="outcomes", withhold=True) as cursor:
        cursor.itersize = 20_000
        for job, task, state, attempt in cursor.execute(statement("outcomes")):
            states[state or "none"] += 1
            is_plain = state == "succeeded" and attempt == 1 and tally.is_plain(job)
            if present[job]:
                twice.append(job)
            present[job] = 1
            if not (is_plain and task in plain_kinds) or job in watched:
                outcomes = suspects.setdefault(job, (task, []))[1]
                if state is not None:
                    outcomes.append((state, attempt))
    problems = [Problem("doubled", f"job {job} has several outcomes") for job in twice]
    return present, states, suspects, problems


def _strangers(tally: Tally, present: bytearray) -> set[int]:
    """Jobs in the ledger that the database has not."""
    return {job for job, count in enumerate(tally.starts) if count and not present[job]}


def _unwanted(
    tally: Tally,
    present: bytearray,
    accounts: Accounts,
    executions: dict[int, list[Execution]],
) -> list[Problem]:
    """What is there and must not be, and the other way round."""
    problems = []
    for job in _strangers(tally, present):
        fate = accounts.fate(job).name.lower().replace("_", " ")
        lines = [str(e) for e in executions[job]]
        problems.append(Problem("rolled back, but run", f"job {job} ({fate}) has run", lines))
    problems += [
        Problem("rolled back, but there", f"job {job} is in the database")
        for job in accounts.all(Fate.ROLLED_BACK)
        if present[job]
    ]
    problems += [
        Problem("lost", f"job {job} was committed, and is not there")
        for job in accounts.all(Fate.COMMITTED)
        if not present[job]
    ]
    for jobs in accounts.unknown:
        there = [bool(present[job]) for job in jobs if accounts.fate(job) is Fate.UNKNOWN]
        if len(set(there)) > 1:
            text = f"jobs {jobs[0]} to {jobs[-1]}: {sum(there)} of {len(there)} are there"
            problems.append(Problem("torn transaction", text))
    return problems


def _executions(found: Iterable[Book], wanted: set[int]) -> dict[int, list[Execution]]:
    executions: dict[int, list[Execution]] = defaultdict(list)
    for book in found:
        for execution in book.executions():
            if execution.job in wanted:
                executions[execution.job].append(execution)
    return executions


def _failures(connection: Connection, wanted: Iterable[int]) -> dict[int, list[Failure]]:
    failures: dict[int, list[Failure]] = defaultdict(list)
    wanted = set(wanted)
    for job, *columns in connection.execute(statement("failures")):
        if job in wanted:
            failures[job].append(Failure(*columns))
    return failures
