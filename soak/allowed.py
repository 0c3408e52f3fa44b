"""What limits allow, held against the ledger's times: how many ran at once, how many started."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from .judge import Problem
from .kinds import MOST_AT_ONCE, MOST_ON_A_HOST, SAVED_UP, STARTS_A_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .ledger import Execution

RUNNING, RATE = "limit exceeded", "rate exceeded"
#: Seconds between being let in and the start: perhaps with a supervisor that is stopped meanwhile.
LAG = 10.0


def exceeded(ran: Mapping[str, Sequence[Execution]]) -> Iterator[Problem]:
    """What was more than allowed, of the executions of each task that has a limit."""
    yield from _crowded("limited", ran.get("limited", ()), MOST_AT_ONCE)
    hosts: dict[tuple[int, int], list[Execution]] = defaultdict(list)
    for execution in ran.get("hosted", ()):
        hosts[execution.process.host, execution.process.supervisor].append(execution)
    for (host, _), executions in hosts.items():
        yield from _crowded(f"hosted, on host {host}", executions, MOST_ON_A_HOST)
    yield from _hasty("metered", ran.get("metered", ()))


def crowds(executions: Iterable[Execution], limit: int) -> Iterator[list[Execution]]:
    """Those that ran at once, wherever these are more than the limit. When one that has no end was
    killed isn't known: it doesn't count."""
    running: list[Execution] = []
    for execution in sorted(executions, key=lambda e: e.start):
        if execution.end is not None:
            running = [e for e in running if e.end is not None and e.end > execution.start]
            running.append(execution)
            if len(running) > limit:
                yield running


def _crowded(what: str, executions: Iterable[Execution], limit: int) -> Iterator[Problem]:
    for running in crowds(executions, limit):
        text = f"task {what}: {len(running)} jobs ran at once, not {limit}"
        yield Problem(RUNNING, text, [str(e) for e in running])


def _hasty(what: str, executions: Iterable[Execution]) -> Iterator[Problem]:
    """In any time no more have started than were saved up, and than the rate brings in that time
    and the lag. Who was interrupted and starts again was let in before."""
    firsts: dict[tuple[int, int], Execution] = {}
    for execution in sorted(executions, key=lambda e: e.start):
        firsts.setdefault((execution.job, execution.attempt), execution)
    least, since = 0.0, 0.0
    for number, execution in enumerate(firsts.values()):
        # How far the starts are ahead of the rate, against the moment at which they were least so.
        ahead = number - STARTS_A_SECOND * execution.start
        if number == 0 or ahead < least:
            least, since = ahead, execution.start
        too_many = ahead - least + 1 - SAVED_UP - STARTS_A_SECOND * LAG
        if too_many > 0.5:
            text = f"task {what}: {too_many:.0f} too many have started since {since:.6f}"
            yield Problem(RATE, text, [str(execution)])
            least, since = ahead, execution.start
