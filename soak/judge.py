"""One job before its judge: does what the database says agree with what the tasks have written, and
is there a fault for everything that was run again?"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from . import faults as known
from .faults import BACKEND, BACKENDS, FAST, IMMEDIATE, PAUSE, SUBWORKER, SUPERVISOR, Fault
from .ledger import Event, Execution, Process

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .kinds import Kind

#: A job that ended its own process took others with it that ran beside it.
NEIGHBOUR = "crash of another job in its process"
#: Its process died between being told of the job and the task's first line.
UNWRITTEN = "death before the task's first line"
#: Its supervisor was stopped before it could come back from a lost connection: for a second it
#: neither held its lock nor beat, and nothing tells that from a death.
SILENCED = "supervisor SIGSTOP amid reconnecting"
#: Seconds that coming back takes at most, on a busy machine, and of silence that make a death.
RECONNECTED, SILENT = 3.0, 1.0
#: Seconds that a result may wait for its commit while all is well, on a busy machine.
UNSETTLED = 5.0
#: Seconds after the end of a fault in which results may still wait: reconnecting takes its pauses.
RECOVERY = 8.0


class Problem(NamedTuple):
    """Something that must not be."""

    #: What it is about, for the table.
    kind: str
    text: str
    lines: Sequence[str] = ()


class Failure(NamedTuple):
    """A row of wsup.failure."""

    attempt: int
    lost: bool
    type: str
    message: str


class Case(NamedTuple):
    """All that is known of one committed job."""

    job: int
    kind: Kind
    #: State and attempt; exactly one is right.
    outcomes: Sequence[tuple[str, int]]
    executions: Sequence[Execution]
    failures: Sequence[Failure]
    #: Somebody has asked for it, or its parents have not ended well.
    may_be_cancelled: bool = False


class Verdict(NamedTuple):
    #: What is wrong; nothing if all is well.
    problems: list[str]
    #: How many second executions each kind of fault explains.
    explained: Counter[str]


class Judge:
    """`by_lease`: supervisors hold no lock, so that only their lease tells whether they live."""

    def __init__(
        self, faults: Iterable[Fault], crashed: Iterable[Process], *, by_lease: bool = False
    ) -> None:
        faults = list(faults)
        self._supervisors = [f for f in faults if f.kind == SUPERVISOR]
        self._subworkers = {(f.host, f.pid) for f in faults if f.kind == SUBWORKER}
        self._delays = [f for f in faults if f.kind in known.DELAYS]
        self._silences = [_unheard(f) for f in faults if f.kind == known.AGENT_GONE]
        if not by_lease:
            found = (_silence(f, faults) for f in faults if f.kind == PAUSE)
            self._silences += [silence for silence in found if silence]
        #: Host and pid of the supervisors that others may have taken for dead while they lived.
        self.silenced = {(s.host, s.pid) for s in self._silences}
        #: The processes that a job has ended from inside.
        self._crashed = set(crashed)

    def judge(self, case: Case) -> Verdict:
        problems: list[str] = []
        explained: Counter[str] = Counter()
        if len(case.outcomes) != 1:
            problems.append(f"{len(case.outcomes) or 'no'} outcomes")
            return Verdict(problems, explained)
        state, last = case.outcomes[0]
        executions = sorted(case.executions, key=lambda e: e.start)
        problems += _wrong_end(case, state, last)
        for attempt in range(1, last + 1):
            ran = [e for e in executions if e.attempt == attempt]
            failed = [f for f in case.failures if f.attempt == attempt and not f.lost]
            is_last_good = attempt == last and state in ("succeeded", "cancelled")
            if len(failed) != (0 if is_last_good else 1):
                problems.append(f"attempt {attempt} has {len(failed)} failures")
            for failure in failed:
                self._explain_failure(case.kind, failure, ran, problems, explained)
            self._explain_repeats(case, attempt, ran, problems, explained)
        problems += _wrong_order(executions, last)
        return Verdict(problems, explained)

    # failed attempts ----------------------------------------------------------------------------

    def _explain_failure(
        self,
        kind: Kind,
        failure: Failure,
        ran: Sequence[Execution],
        problems: list[str],
        explained: Counter[str],
    ) -> None:
        said = f"attempt {failure.attempt} failed as {failure.type} ({failure.message})"
        if failure.type == "Unlucky":
            if not (kind.raises and any(e.event is Event.FAILED for e in ran)):
                problems.append(f"{said}, which the task did not do")
        elif failure.type == "SubworkerDied":
            if any(e.event is Event.CRASHING for e in ran):
                return
            if not ran:
                if self._subworkers or self._crashed:
                    explained[UNWRITTEN] += 1
                else:
                    problems.append(f"{said}, but nothing was killed")
                return
            cause = next((c for e in ran if (c := self._cause_of_death(e))), None)
            if cause is None:
                problems.append(f"{said}, and no fault explains it")
            else:
                explained[cause] += 1
        else:
            problems.append(said)

    def _cause_of_death(self, execution: Execution) -> str | None:
        """Who ended the process that it ran in, while its result may not have been heard of."""
        process = execution.process
        if not execution.is_exposed:
            return None
        if (process.host, process.pid) in self._subworkers:
            return SUBWORKER
        return NEIGHBOUR if process in self._crashed else None

    # attempts that ran again --------------------------------------------------------------------

    def _explain_repeats(
        self,
        case: Case,
        attempt: int,
        ran: Sequence[Execution],
        problems: list[str],
        explained: Counter[str],
    ) -> None:
        lost = sum(f.lost for f in case.failures if f.attempt == attempt)
        for before, after in pairwise(ran):
            silence = next((s for s in self._silences if self._hit(s, before, after)), None)
            if lost and silence is not None:
                lost -= 1
                explained[SILENCED if silence.kind == PAUSE else silence.kind] += 1
            elif before.end is not None and after.start < before.end:
                problems.append(f"attempt {attempt} ran twice at once")
            elif before.event is Event.SNOOZED:
                continue
            elif lost and any(self._hit(fault, before, after) for fault in self._supervisors):
                lost -= 1
                explained[SUPERVISOR] += 1
            else:
                problems.append(f"attempt {attempt} was run again, and no fault explains it")

    def _hit(self, fault: Fault, before: Execution, after: Execution) -> bool:
        """Did that fall on the supervisor while it held that execution, or its result?"""
        process = before.process
        if (process.host, process.supervisor) != (fault.host, fault.pid):
            return False
        if not before.start <= fault.ended or not fault.began <= after.start:
            return False
        return before.end is None or before.end >= self._unsettled_since(fault)

    def _unsettled_since(self, kill: Fault) -> float:
        """From when on results may not have been committed at a supervisor's end."""
        since = kill.began - UNSETTLED
        for fault in self._delays:
            if fault.began <= kill.began and fault.ended + RECOVERY >= since:
                since = min(since, fault.began - UNSETTLED)
        return since


def _unheard(cut: Fault) -> Fault:
    """That cut, until its supervisor has heard that it is taken for dead."""
    return Fault(cut.kind, cut.began, cut.ended + RECOVERY, cut.host, cut.pid)


def _silence(pause: Fault, faults: Iterable[Fault]) -> Fault | None:
    """That pause, from the loss of the connection on that its supervisor can't have got over."""
    for fault in faults:
        if fault.kind in (BACKENDS, FAST, IMMEDIATE) or (
            fault.kind == BACKEND and "listener" in fault.detail
        ):
            is_before = fault.began <= pause.began <= fault.ended + RECONNECTED
            if is_before and pause.ended - fault.began >= SILENT:
                return Fault(PAUSE, fault.began, pause.ended, pause.host, pause.pid)
    return None


def _wrong_end(case: Case, state: str, last: int) -> list[str]:
    """Is this how the kind must end?"""
    kind = case.kind
    problems = []
    ended = [e for e in case.executions if e.attempt == last and e.event is Event.OK]
    if last > kind.retries + 1:
        problems.append(f"attempt {last} of at most {kind.retries + 1}")
    if state == "succeeded":
        if kind.good_from is None or last < kind.good_from:
            problems.append(f"succeeded at attempt {last}, which it can't")
        elif not ended:
            problems.append(f"succeeded, but attempt {last} has not ended well")
    elif state == "cancelled" and case.may_be_cancelled:
        pass
    elif state != "failed" or last <= kind.retries:
        problems.append(f"{state} after attempt {last} of {kind.retries + 1}")
    return problems


def _wrong_order(executions: Sequence[Execution], last: int) -> list[str]:
    problems = [
        f"attempt {after.attempt} began after attempt {before.attempt}"
        for before, after in pairwise(executions)
        if after.attempt < before.attempt
    ]
    if executions and max(e.attempt for e in executions) > last:
        problems.append(f"ran at a later attempt than {last}, its outcome's")
    return problems
