"""The judge of the soak finds what it is there to find, and nothing else."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rooted import import_from_root

import_from_root("soak")

from soak import ledger  # noqa: E402
from soak.accounts import Accounts  # noqa: E402
from soak.fates import Fate  # noqa: E402
from soak.faults import (  # noqa: E402
    AGENT_CUT,
    AGENT_GONE,
    BACKEND,
    PAUSE,
    SERVERS,
    SUBWORKER,
    SUPERVISOR,
    Fault,
)
from soak.judge import NEIGHBOUR, SILENCED, UNWRITTEN, Case, Failure, Judge  # noqa: E402
from soak.kinds import KINDS  # noqa: E402
from soak.ledger import Event, Execution, Process  # noqa: E402

HERE, THERE = Process(0, 100, 101), Process(1, 200, 201)
LOST = Failure(1, True, "SupervisorDied", "")
DIED = Failure(1, False, "SubworkerDied", "SIGKILL")
UNLUCKY = [Failure(attempt, False, "Unlucky", "") for attempt in (1, 2, 3)]
DEAFENED = Fault(BACKEND, 10.2, 10.3, detail="wsup listener 17")
KILLED = Fault(SUPERVISOR, 10.5, 12.0, 0, 100)


def ran(
    attempt: int = 1,
    start: float = 10.0,
    event: Event | None = Event.OK,
    process: Process = HERE,
    *,
    end: float | None = None,
    exposed: bool = False,
) -> Execution:
    finish = None if event is None else (end or start + 0.1)
    return Execution(7, attempt, start, finish, event, process, exposed or event is None)


def judged(
    *executions: Execution,
    kind: str = "nap",
    outcomes: Any = (("succeeded", 1),),
    failures: Any = (),
    faults: Any = (),
    crashed: Any = (),
    by_lease: bool = False,
) -> tuple[list[str], Counter[str]]:
    brought = Case(7, KINDS[kind], outcomes, executions, failures)
    return Judge(faults, crashed, by_lease=by_lease).judge(brought)


def case(**given: Any) -> dict[str, Any]:
    return given


ALL_WELL: list[Any] = [
    case(executions=[ran()]),
    case(executions=[ran(event=Event.SNOOZED), ran(start=20)], kind="snooze"),
    case(
        executions=[ran(n, n, Event.FAILED) for n in (1, 2)] + [ran(3)],
        kind="fickle", outcomes=[("succeeded", 3)], failures=UNLUCKY[:2],
    ),
    case(
        executions=[ran(n, n, Event.FAILED) for n in (1, 2, 3)],
        kind="doomed", outcomes=[("failed", 3)], failures=UNLUCKY,
    ),
    case(
        executions=[ran(event=Event.CRASHING, exposed=True), ran(2, 20)],
        kind="crash_once", outcomes=[("succeeded", 2)], failures=[DIED],
    ),
]  # fmt: skip


@pytest.mark.parametrize("given", ALL_WELL)
def test_what_should_be_is_left_alone(given: dict[str, Any]) -> None:
    assert judged(*given.pop("executions"), **given) == ([], Counter())


EXPLAINED: list[Any] = [
    # Killed with the supervisor, and with its result not committed yet.
    (SUPERVISOR, case(executions=[ran(event=None), ran(start=12, process=THERE)],
                      failures=[LOST], faults=[KILLED])),
    (SUPERVISOR, case(executions=[ran(), ran(start=12, process=THERE)],
                      failures=[LOST], faults=[KILLED])),
    # The result could not be committed, for the supervisor was stopped.
    (SUPERVISOR, case(executions=[ran(start=1), ran(start=12, process=THERE)],
                      failures=[LOST], faults=[KILLED, Fault(PAUSE, 1.0, 9.0, 0, 100)])),
    # Stopped before it had its connection back: dead for all that others could see.
    (SILENCED, case(executions=[ran(), ran(start=12, process=THERE)],
                    failures=[LOST], faults=[Fault(PAUSE, 10.5, 14, 0, 100), DEAFENED])),
    (SILENCED, case(executions=[ran(end=15), ran(start=12, process=THERE)],
                    failures=[LOST], faults=[Fault(PAUSE, 10.5, 14, 0, 100), DEAFENED])),
    # Nobody took the result, for all servers were away.
    (SUPERVISOR, case(executions=[ran(), ran(start=42, process=THERE)], by_lease=True,
                      failures=[LOST], faults=[Fault(SUPERVISOR, 41, 42, 0, 100),
                                               Fault(SERVERS, 10, 40)])),
    # Cut off for so long that others had its jobs while it still ran them.
    (AGENT_GONE, case(executions=[ran(end=27), ran(start=26, process=THERE)], by_lease=True,
                      failures=[LOST], faults=[Fault(AGENT_GONE, 10.05, 32, 0, 100)])),
    (SUBWORKER, case(executions=[ran(event=None), ran(2, 20)], outcomes=[("succeeded", 2)],
                     failures=[DIED], faults=[Fault(SUBWORKER, 10.1, 10.2, 0, 101)])),
    # It had ended, but nobody had heard of that.
    (SUBWORKER, case(executions=[ran(exposed=True), ran(2, 20)], outcomes=[("succeeded", 2)],
                     failures=[DIED], faults=[Fault(SUBWORKER, 10.1, 10.2, 0, 101)])),
    (NEIGHBOUR, case(executions=[ran(event=None), ran(2, 20)], outcomes=[("succeeded", 2)],
                     failures=[DIED], crashed=[HERE])),
    (UNWRITTEN, case(executions=[ran(2, 20)], outcomes=[("succeeded", 2)],
                     failures=[DIED], faults=[Fault(SUBWORKER, 10.1, 10.2, 0, 101)])),
]  # fmt: skip


@pytest.mark.parametrize(("cause", "given"), EXPLAINED)
def test_faults_explain_second_executions(cause: str, given: dict[str, Any]) -> None:
    assert judged(*given.pop("executions"), **given) == ([], Counter([cause]))


WRONG: list[Any] = [
    ("no outcomes", case(executions=[ran()], outcomes=[])),
    ("2 outcomes", case(executions=[ran()], outcomes=[("succeeded", 1)] * 2)),
    ("has not ended well", case(executions=[])),
    ("has not ended well", case(executions=[ran(event=None)])),
    # A second execution without a fault, …
    ("was run again", case(executions=[ran(), ran(start=20)])),
    # … with one of another host, …
    ("was run again", case(executions=[ran(process=THERE), ran(start=12)],
                           failures=[LOST], faults=[KILLED])),
    # … with one that came too late for its result, or after both, …
    ("was run again", case(executions=[ran(start=1), ran(start=12)],
                           failures=[LOST], faults=[KILLED])),
    ("was run again", case(executions=[ran(start=8), ran(start=9)],
                           failures=[LOST], faults=[KILLED])),
    # … with one that wsup knows nothing of, or that repeats nothing.
    ("was run again", case(executions=[ran(), ran(start=12)], faults=[KILLED])),
    ("was run again", case(executions=[ran(), ran(start=12)], failures=[LOST],
                           faults=[Fault(PAUSE, 10, 11, 0, 100), Fault(BACKEND, 10, 11)])),
    # A pause that came when the connection was back, was over too soon, or hit another host.
    ("was run again", case(executions=[ran(), ran(start=16)], failures=[LOST],
                           faults=[Fault(PAUSE, 14, 18, 0, 100), DEAFENED])),
    ("was run again", case(executions=[ran(), ran(start=12)], failures=[LOST],
                           faults=[Fault(PAUSE, 10.5, 11, 0, 100), DEAFENED])),
    ("was run again", case(executions=[ran(), ran(start=12)], failures=[LOST],
                           faults=[Fault(PAUSE, 10.5, 14, 1, 200), DEAFENED])),
    # Nor what a lock would explain, where there is none; nor a cut shorter than the lease.
    ("was run again", case(executions=[ran(), ran(start=12)], failures=[LOST], by_lease=True,
                           faults=[Fault(PAUSE, 10.5, 14, 0, 100), DEAFENED])),
    ("was run again", case(executions=[ran(), ran(start=12)], failures=[LOST], by_lease=True,
                           faults=[Fault(AGENT_CUT, 10.05, 16, 0, 100)])),
    ("twice at once", case(executions=[ran(end=15), ran(start=12, process=THERE)],
                           failures=[LOST], faults=[KILLED])),
    # A kill of another process, and of one that had reported its end.
    ("no fault explains", case(executions=[ran(event=None), ran(2, 20)],
                               outcomes=[("succeeded", 2)], failures=[DIED],
                               faults=[Fault(SUBWORKER, 10, 10, 1, 101)])),
    ("no fault explains", case(executions=[ran(), ran(2, 20)], outcomes=[("succeeded", 2)],
                               failures=[DIED], faults=[Fault(SUBWORKER, 10, 10, 0, 101)])),
    ("nothing was killed", case(executions=[ran(2)], outcomes=[("succeeded", 2)],
                                failures=[DIED])),
    ("has 0 failures", case(executions=[ran(event=None), ran(2, 20)],
                            outcomes=[("succeeded", 2)])),
    ("has 1 failures", case(executions=[ran()], failures=[DIED], crashed=[HERE])),
    ("the task did not do", case(executions=[ran(), ran(2, 20)], failures=UNLUCKY[:1],
                                 outcomes=[("succeeded", 2)])),
    ("of at most 3", case(executions=[ran(n, n, Event.FAILED) for n in (1, 2, 3, 4)],
                          kind="doomed", outcomes=[("failed", 4)],
                          failures=[*UNLUCKY, Failure(4, False, "Unlucky", "")])),
    ("failed after attempt 1", case(executions=[ran(event=Event.FAILED)], kind="doomed",
                                    outcomes=[("failed", 1)], failures=UNLUCKY[:1])),
    ("which it can't", case(executions=[ran()], kind="doomed")),
    ("began after attempt 2", case(executions=[ran(1, 20), ran(2, 10)], kind="fickle",
                                   outcomes=[("succeeded", 2)])),
    ("at a later attempt", case(executions=[ran(), ran(2, 20)])),
    ("cancelled after", case(executions=[ran()], outcomes=[("cancelled", 1)])),
]  # fmt: skip


@pytest.mark.parametrize(("words", "given"), WRONG)
def test_what_is_wrong_is_found(words: str, given: dict[str, Any]) -> None:
    problems, _ = judged(*given.pop("executions"), **given)
    assert any(words in problem for problem in problems), problems


def test_the_ledger_tells_which_ends_may_be_unheard_of(tmp_path: Path) -> None:
    path = tmp_path / "0.100.101.5"
    lines = [
        (1, 1.0, Event.START, 0), (1, 1.1, Event.OK, 0), (2, 1.2, Event.START, 1),
        (3, 1.3, Event.START, 0), (3, 1.4, Event.FAILED, 0), (4, 1.5, Event.START, 1),
        (2, 1.6, Event.OK, 1),
    ]  # fmt: skip
    path.write_bytes(
        b"".join(ledger.RECORD.pack(job, at, 101, 1, event, t) for job, at, event, t in lines)
    )
    (book,) = ledger.books(tmp_path)
    assert book.process == HERE
    found = {e.job: e for e in book.executions()}
    assert {job: e.event for job, e in found.items()} == {
        1: Event.OK, 2: Event.OK, 3: Event.FAILED, 4: None,
    }  # fmt: skip
    # The last of each thread, and what never ended; job 1's result was sent before job 3 began.
    assert {job for job, e in found.items() if e.is_exposed} == {2, 3, 4}


def test_an_id_that_was_rolled_back_may_be_given_out_again() -> None:
    accounts = Accounts()
    accounts.note([1, 2, 3], Fate.ROLLED_BACK)
    accounts.note([2, 3], Fate.COMMITTED)
    assert accounts.all(Fate.ROLLED_BACK) == [1]
    assert accounts.all(Fate.COMMITTED) == [2, 3]
    assert accounts.fate(9) is Fate.NEVER
