"""The soak finds what must not be among jobs that have to do with each other, and nothing else."""

from collections.abc import Sequence
from typing import Any

import pytest
from rooted import import_from_root

import_from_root("soak")

from soak.accounts import Accounts  # noqa: E402
from soak.allowed import LAG  # noqa: E402
from soak.fates import Fate  # noqa: E402
from soak.kinds import MOST_AT_ONCE, MOST_ON_A_HOST, SAVED_UP, STARTS_A_SECOND  # noqa: E402
from soak.ledger import Event, Execution, Process  # noqa: E402
from soak.promises import Evidence, broken, may_be_cancelled, standing  # noqa: E402
from soak.requests import Cancelled, Child, Filed, Keyed, Limited, Request, Unique  # noqa: E402

HERE, THERE = Process(0, 100, 101), Process(1, 200, 201)
#: What others may have taken for dead: its subworkers' lines say nothing.
SILENCED = {(1, 200)}


def ran(job: int, start: float, end: float | None = None, process: Process = HERE) -> Execution:
    event = None if end is None else Event.OK
    return Execution(job, 1, start, end, event, process, is_exposed=False)


def said(
    request: Request | list[Request],
    executions: Sequence[Execution] = (),
    states: dict[int, str | None] | None = None,
    *,
    at: float = 10.0,
    fate: Fate = Fate.COMMITTED,
    results: dict[int, int] | None = None,
) -> list[str]:
    """What is found; jobs of which nothing is said have succeeded."""
    requests = request if isinstance(request, list) else [request]
    by_job: dict[int, list[Execution]] = {}
    for execution in executions:
        by_job.setdefault(execution.job, []).append(execution)
    ends = dict.fromkeys(range(10), "succeeded") | (states or {})
    evidence = Evidence(ends, by_job, results or {}, SILENCED)
    return [problem.text for problem in broken([Filed(r, fate, at) for r in requests], evidence)]


def case(*given: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return given, named


def limited(task: str, ran: Sequence[Execution]) -> Any:
    """These are executions of jobs of a task with a limit."""
    return case([Limited(job, task) for job in {e.job for e in ran}], ran)


def at_once(n: int) -> list[Execution]:
    """So many, and one more that starts when these end."""
    return [*(ran(job, 1, 3) for job in range(n)), ran(99, 3, 4)]


#: As many as may start in 10 s; and, lag and all, as many as may besides, but one.
STEADY = [ran(n, n / STARTS_A_SECOND) for n in range(10 * STARTS_A_SECOND)]
SAVED = [ran(n, 0) for n in range(1000, 1000 + SAVED_UP + int(STARTS_A_SECOND * LAG) - 1)]

CHILD = Child(3, (1,), (2,))
FAMILY = [ran(1, 1, 2), ran(2, 1, 3), ran(3, 4, 5)]
FIRST, SECOND = Unique(1, "k", "new", 7, 1.0), Unique(2, "k", "new", 8, 5.0)
CHANGED = Unique(1, "k", "replaced", 9, 2.0)

ALL_WELL: list[Any] = [
    case(CHILD, FAMILY),
    # A lax parent has failed; so has one that must succeed, and the child was cancelled.
    case(CHILD, FAMILY, {2: "failed"}),
    case(CHILD, FAMILY[:2], {1: "failed", 3: "cancelled"}),
    # A parent that was run again elsewhere by mistake, which nobody could stop.
    case(CHILD, [*FAMILY, ran(1, 1, 9, THERE)]),
    case(Cancelled(1, "cancelled"), [], {1: "cancelled"}),
    # It had run before, as a retry; its order was on its way; it had ended.
    case(Cancelled(1, "cancelled"), [ran(1, 8, 9)], {1: "cancelled"}),
    case(Cancelled(1, "cancelling"), [ran(1, 11, 12)], {1: "cancelled"}),
    case(Cancelled(1, "failed"), [ran(1, 1, 2)], {1: "failed"}),
    # Nobody knows whether that was done.
    case(Cancelled(1, "cancelled"), [ran(1, 11, 12)], fate=Fate.UNKNOWN),
    case([FIRST, SECOND], [ran(1, 2, 4), ran(2, 6, 7)]),
    case([FIRST, Unique(1, "k", "existing", 8, 2.0)], [ran(1, 1, 4)], results={1: 7}),
    case([FIRST, SECOND], [ran(1, 2, 4), ran(1, 2, 8, THERE)]),
    case([FIRST, CHANGED], [ran(1, 3, 4)], results={1: 9}),
    # Three of a key, two at once; another key; one that was killed, nobody knows when.
    case([Keyed(n, "k", 2) for n in (1, 2, 3)], [ran(1, 1, 3), ran(2, 2, 5), ran(3, 3, 4)]),
    case([Keyed(1, "k", 1), Keyed(2, "l", 1)], [ran(1, 1, 3), ran(2, 2, 4)]),
    case([Keyed(1, "k", 1), Keyed(2, "k", 1)], [ran(1, 1), ran(2, 2, 4), ran(1, 5, 6)]),
    case([Keyed(1, "k", 1), Keyed(2, "k", 1)], [ran(1, 1, 3, THERE), ran(2, 2, 4)]),
    case([FIRST, Unique(2, "another", "new", 8, 2.0)], [ran(1, 2, 4), ran(2, 3, 4)]),
    # On two hosts; with one that was killed; on each of two hosts; what started again at the same
    # attempt, and what would be too many but for that.
    limited("limited", at_once(MOST_AT_ONCE)),
    limited("limited", [*at_once(MOST_AT_ONCE), ran(50, 2)]),
    limited("hosted", [*at_once(MOST_ON_A_HOST), ran(50, 2, 4, Process(1, 300, 301))]),
    limited("metered", SAVED + STEADY),
    limited("metered", SAVED + STEADY + STEADY),
]


@pytest.mark.parametrize(("given", "named"), ALL_WELL)
def test_what_should_be_is_left_alone(given: Any, named: Any) -> None:
    assert said(*given, **named) == []


WRONG: list[Any] = [
    ("before its parent 1 was over", case(CHILD, [ran(1, 1, 4.5), *FAMILY[1:]])),
    ("before its parent 2 was over", case(CHILD, [ran(2, 1, 4.5), FAMILY[0], FAMILY[2]])),
    ("before its parent 1 was over", case(CHILD, [*FAMILY, ran(1, 6)])),
    ("its parent 1 was not well", case(CHILD, FAMILY, {1: "failed"})),
    ("its parent 1 was not well", case(CHILD, FAMILY, {1: "cancelled", 3: "cancelled"})),
    ("its parent 1 was not well", case(CHILD, [], {1: "expired", 3: None})),
    ("began 1 times after", case(Cancelled(1, "cancelled"), [ran(1, 11)], {1: "cancelled"})),
    ("began 2 times after", case(Cancelled(1, "cancelling"), [ran(1, 11, 12), ran(1, 13, 14)])),
    ("succeeded, after the answer", case(Cancelled(1, "cancelled"))),
    ("None, after the answer", case(Cancelled(1, "succeeded"), states={1: None})),
    ("made when job 1 was not over", case([FIRST, SECOND], [ran(1, 2, 5.1), ran(2, 6, 7)])),
    ("made when job 1 was not over", case([SECOND, FIRST], [ran(1, 2, 3), ran(1, 6)])),
    ("2 jobs ran at once", case([Keyed(n, "k", 1) for n in (1, 2)], [ran(1, 1, 3), ran(2, 2, 4)])),
    ("2 jobs ran at once", case(Keyed(1, "k", 1), [ran(1, 1, 3), ran(1, 2, 4)])),
    ("3 jobs ran at once", case([Keyed(n, "k", 2) for n in (1, 2, 3)],
                                [ran(1, 1, 9), ran(2, 2, 9), ran(3, 3, 4)])),
    ("jobs ran at once, not", limited("limited", [*at_once(MOST_AT_ONCE), ran(50, 2, 4)])),
    ("jobs ran at once, not", limited("limited", [*at_once(MOST_AT_ONCE),
                                                  ran(50, 2, 4, Process(1, 300, 301))])),
    ("hosted, on host 0", limited("hosted", [*at_once(MOST_ON_A_HOST), ran(50, 2, 4)])),
    ("too many have started", limited("metered", [*SAVED, ran(2000, 0), *STEADY])),
    ("too many have started", limited("metered", [ran(0, -100), *SAVED,
                                                  ran(2000, 0), ran(2001, 0)])),
    ("returned 7, not [9]", case([FIRST, CHANGED], [ran(1, 3, 4)], results={1: 7})),
]  # fmt: skip


@pytest.mark.parametrize(("words", "brought"), WRONG)
def test_what_is_wrong_is_found(words: str, brought: Any) -> None:
    given, named = brought
    found = said(*given, **named)
    assert any(words in text for text in found), found


def test_a_change_of_unknown_fate_may_have_been_made() -> None:
    evidence = Evidence({1: "succeeded"}, {}, {1: 7}, set())
    changed = Filed(CHANGED, Fate.UNKNOWN, 3.0)
    assert broken([Filed(FIRST, Fate.COMMITTED, 2.0), changed], evidence) == []
    evidence = evidence._replace(results={1: 9})
    assert broken([Filed(FIRST, Fate.COMMITTED, 2.0), changed], evidence) == []
    evidence = evidence._replace(results={1: 8})
    assert broken([Filed(FIRST, Fate.COMMITTED, 2.0), changed], evidence) != []


def test_what_counts() -> None:
    accounts = Accounts()
    for job, fate in ((1, Fate.COMMITTED), (2, Fate.UNKNOWN), (3, Fate.ROLLED_BACK)):
        accounts.note([job], fate)
        accounts.requests.note([Child(job, ())], fate)
    # Its id, of unknown fate at first, was then given to a plain job.
    accounts.requests.note([Child(4, ())], Fate.UNKNOWN)
    accounts.note([4], Fate.COMMITTED)
    there = bytearray(b"\0\1\0\1\1")
    assert [filed.request.job for filed in standing(accounts, there)] == [1]
    there[2] = 1
    assert [filed.request.job for filed in standing(accounts, there)] == [1, 2]
    assert accounts.requests.jobs() == {1, 2, 4}


def test_who_may_be_cancelled() -> None:
    filed = [
        Filed(request, Fate.COMMITTED, 1.0)
        for request in (Cancelled(1, "cancelling"), Child(3, (2,)), Child(4, (), (2,)))
    ]
    assert may_be_cancelled(filed, {2: "failed"}) == {1, 3}
    assert may_be_cancelled(filed, {2: "succeeded"}) == {1}
