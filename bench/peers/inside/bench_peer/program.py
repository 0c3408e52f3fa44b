"""The program that an adapter is: `peer.py work`, a worker, `peer.py serve`, or `peer.py client`.

A client reads one JSON object a line from stdin, {"verb": …, …}, and answers each with a line on
stdout: {"answer": …}, {"unsupported": why} or {"error": traceback}. An adapter in another language
does the same. What the peer itself prints goes to stderr, which is a log.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from .environment import LEDGER
from .ledger import Ledger
from .peer import Args, Peer, Unsupported
from .tasks import BODIES

#: Seconds between two looks whether a job has begun.
LOOK_AGAIN = 0.0005
#: Seconds that a system is left alone after a job, about, before the next one finds it idle.
ALONE = 0.03
#: Seconds for which jobs are enqueued at once at a constant rate, and the most jobs of that.
PORTION = 0.05
MOST_AT_ONCE = 20_000
#: Seconds after which a job must have been lost.
PATIENCE = 60.0


def run(peer: Peer) -> None:
    """What an adapter ends with."""
    if sys.argv[1:] == ["work"]:
        peer.work()
    elif sys.argv[1:] == ["serve"]:
        peer.serve()
    else:
        Client(peer).serve()


class Client:
    """Does what the harness says, and answers."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._ledger = Ledger(LEDGER)

    def serve(self) -> None:
        """Until stdin ends."""
        with os.fdopen(os.dup(1), "w") as answers:
            os.dup2(2, 1)
            for line in sys.stdin:
                request = json.loads(line)
                answers.write(json.dumps(self._answer(request.pop("verb"), request)) + "\n")
                answers.flush()

    def _answer(self, verb: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"answer": getattr(self, f"do_{verb}")(**request)}
        except Unsupported as error:
            return {"unsupported": str(error)}
        except Exception:
            return {"error": traceback.format_exc()}

    def do_prepare(self) -> None:
        self._peer.prepare()

    def do_fill(
        self, task: str, first: int, count: int, keys: int = 0, prefix: str = "key"
    ) -> float:
        """Seconds to enqueue jobs in bulk, with so many keys; their arguments are made before."""
        many = _args(task, first, count)
        began = time.perf_counter()
        self._enqueue(task, many, keys, prefix)
        return time.perf_counter() - began

    def do_fill_for_tomorrow(self, task: str, first: int, count: int) -> None:
        """Enqueue jobs that are in the way of others, but not to be run."""
        self._peer.enqueue_for_tomorrow(task, _args(task, first, count))

    def do_feed(
        self, task: str, first: int, count: int, rate: float, ring: int, keys: int = 0
    ) -> None:
        """Enqueue jobs in bulk, again and again, at a rate (jobs/s), with numbers below `ring`."""
        make, began, fed = BODIES[task].args, time.monotonic(), 0
        while fed < count:
            if (early := began + fed / rate - time.monotonic()) > 0:
                time.sleep(early)
            due = max(fed + 1, int((time.monotonic() - began + PORTION) * rate))
            due = min(due, fed + MOST_AT_ONCE, count)
            many = [make((first + n) % ring) for n in range(fed, due)]
            self._enqueue(task, many, keys)
            fed = due
        if (early := began + fed / rate - time.monotonic()) > 0:
            time.sleep(early)

    def do_hold(self, task: str, number: int) -> None:
        """Leave a transaction open in which a job was enqueued."""
        self._peer.hold(task, BODIES[task].args(number))

    def do_release(self) -> None:
        self._peer.release()

    def do_single(self, task: str, first: int, count: int) -> float:
        """Seconds to enqueue jobs one after the other, each committed."""
        return _one_by_one(self._peer.enqueue, task, _args(task, first, count))

    def do_transactions(self, task: str, first: int, count: int) -> float:
        """Seconds to enqueue jobs, each in a transaction of the caller's."""
        return _one_by_one(self._peer.enqueue_in_transaction, task, _args(task, first, count))

    def do_one_at_a_time(self, task: str, first: int, count: int) -> None:
        """Enqueue a job, wait until it has begun and the system is idle again, and so on."""
        pauses = random.Random(first)
        for number, args in enumerate(_args(task, first, count), first):
            self._timed(task, number, args)
            deadline = time.monotonic() + PATIENCE
            while not self._ledger.started[number]:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"job {number} has not begun after {PATIENCE:g} s")
                time.sleep(LOOK_AGAIN)
            time.sleep(ALONE * pauses.uniform(0.8, 1.2))

    def do_steady(self, task: str, first: int, count: int, rate: float) -> float:
        """Enqueue jobs one by one at a rate (jobs/s); the seconds that it really took."""
        began = time.monotonic()
        for number, args in enumerate(_args(task, first, count), first):
            due = began + (number - first) / rate
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)
            self._timed(task, number, args)
        return time.monotonic() - began

    def do_is_settled(self) -> bool:
        return self._peer.is_settled()

    def do_check(self, task: str, count: int, ring: int = 0) -> dict[str, int | None]:
        """The system's own counts, and how many of jobs 0 to `count` have the right result.

        With a `ring`, their numbers begin again at 0 there.
        """
        counts = self._peer.counts()
        found = self._peer.results()
        right = None if found is None else _right(found, task, count, ring or max(1, count))
        return {**counts._asdict(), "results": right}

    def _enqueue(self, task: str, many: list[Args], keys: int, prefix: str = "key") -> None:
        """In bulk; with keys, in turn of one of these."""
        if keys:
            of_each = [f"{prefix} {args['number'] % keys}" for args in many]
            self._peer.enqueue_keyed(task, many, of_each)
        else:
            self._peer.enqueue_many(task, many)

    def _timed(self, task: str, number: int, args: Args) -> None:
        self._ledger.called[number] = time.monotonic_ns()
        self._peer.enqueue(task, args)
        self._ledger.returned[number] = time.monotonic_ns()


def _one_by_one(enqueue: Callable[[str, Args], None], task: str, many: Sequence[Args]) -> float:
    began = time.perf_counter()
    for args in many:
        enqueue(task, args)
    return time.perf_counter() - began


def _args(task: str, first: int, count: int) -> list[Args]:
    make = BODIES[task].args
    return [make(number) for number in range(first, first + count)]


def _right(found: Any, task: str, count: int, ring: int) -> int:
    """Results that are those of different jobs."""
    rounds, rest = divmod(count, ring)
    expected: Counter[Any] = Counter()
    for number in range(min(count, ring)):
        expected[BODIES[task].result(number)] += rounds + (number < rest)
    return (expected & Counter(found)).total()
