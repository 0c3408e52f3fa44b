"""Whose turn it is in a fair queue, and how old who is in one with ageing: the reference of order.

Where a job stands is followed from what is found after each commit; here is said what that may be.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from effects import Ordered, Request
from found import Found, Place
from turns import IN_LINE
from turnstiles import ON_ITS_WAY


class Order(NamedTuple):
    fair: bool = False
    ageing: bool = False


class Shares:
    def __init__(self, requests: Mapping[int, Request], places: Mapping[int, Place]) -> None:
        self._requests = requests
        self._places = places
        self.orders: defaultdict[str, Order] = defaultdict(Order)
        #: The transaction that has just been committed was alone.
        self.alone = False
        self.day = 0
        #: On which day a job was enqueued.
        self._days: dict[int, int] = {}
        #: In which line a job stands; in none: it is ready or claimed. What isn't here comes anew.
        self._at: dict[int, str | None] = {}
        #: Who was let in by the transaction that has just been committed, and from where.
        self._came: dict[int, str] = {}
        #: Queues whose order has changed beside other transactions, one of which is still open; and
        #: the jobs that may stand as it was before.
        self._unsure: set[str] = set()
        self._loose: set[int] = set()
        self._turns: set[tuple[str, int]] = set()
        #: By job that is ready, and key: whose jobs were taken before it.
        self._passed: defaultdict[tuple[int, str], set[int]] = defaultdict(set)

    def age(self, job: int) -> tuple[int, int]:
        """The order in a queue, and in a line."""
        request = self._requests[job]
        days = self._days[job] if self.orders[request.queue].ageing else 0
        return days - request.priority, job

    def line_of(self, job: int) -> str | None:
        """In which it stands, by the order of its queue."""
        request = self._requests[job]
        if request.key and self.orders[request.queue].fair:
            return f"\x02{request.queue}\x02{request.key}"
        return request.key

    def lines(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for job in sorted(self._at.keys() & self._places.keys(), key=self.age):
            line = self._at[job]
            if line and self._places[job][0] == IN_LINE and job not in self._loose:
                found[line].append(job)
        return found

    # what happens -------------------------------------------------------------------------------

    def set_order(self, ordered: Ordered) -> None:
        queue = ordered.queue
        self.orders[queue] = Order(ordered.fair, ordered.ageing)
        self._passed.clear()
        if self.alone:
            self._loose = {j for j in self._loose if self._requests[j].queue != queue}
        else:
            self._unsure.add(queue)
        for job, line in self._at.items():
            if line and job in self._requests and self._requests[job].queue == queue:
                self._at[job] = ""  # in whichever, now

    def come_anew(self, job: int) -> None:
        self._days.setdefault(job, self.day)
        self._at.pop(job, None)
        self._loose.discard(job)

    def follow(self, job: int, found: Found) -> str:
        """Where it stands now, in line or ready, if it may."""
        now = found.lines.get(job) if found.places[job][0][0] == IN_LINE else None
        before = self._at.get(job, "")
        if self._requests[job].queue in self._unsure:
            self._loose.add(job)
        if now and job not in self._loose:
            must = self.line_of(job)
            assert now == must, f"job {job} stands in line {now!r}, not {must!r}"
            assert before in (now, ""), f"job {job} has lost its turn, and stands in line {now!r}"
        if before is not None and now is None and self._requests[job].key:
            self._came[job] = before or self.line_of(job) or ""
        self._at[job] = now
        return IN_LINE if now else "ready"

    # a pull -------------------------------------------------------------------------------------

    def check_pulled(self, jobs: list[int], asked: set[int]) -> None:
        """These were taken, one after the other; nobody else was about."""
        ready = [
            job
            for job, place in self._places.items()
            if place[0] == "ready" and job not in self._loose | asked
        ]
        for number, job in enumerate(jobs):
            before, queue = jobs[: number + 1], self._requests[job].queue
            for left in ready:
                if left not in before and self._requests[left].queue == queue:
                    self._check_pair(job, left)

    def _check_pair(self, taken: int, left: int) -> None:
        """`left` was ready, and `taken` was taken before it."""
        first, second = self._requests[taken], self._requests[left]
        if first.key is None and second.key is None and taken not in self._loose:
            assert self.age(taken) < self.age(left), f"job {taken} was pulled before job {left}"
        elif first.key and self._has_turn(left) and first.key != second.key:
            # Who was given back goes first, without a turn.
            is_turn = self._has_turn(taken) or self._places[taken][0] == IN_LINE
            if self.orders[first.queue].fair and is_turn and first.priority <= second.priority:
                passed = self._passed[left, first.key]
                passed.add(taken)
                assert len(passed) <= 1, f"jobs {passed} of key {first.key} came before job {left}"

    def _has_turn(self, job: int) -> bool:
        """In its queue."""
        return any(line < " " and holder == job for line, holder in self._turns)

    # that all is well ---------------------------------------------------------------------------

    def check_order(self, lines: Mapping[str, list[int]]) -> None:
        """Of those who were in line, none has been passed over."""
        for name, line in lines.items():
            left = [j for j in line if self._at.get(j) == name and self._stands(j) == IN_LINE]
            came = [j for j in line if self._came.get(j) == name]
            passed = came and left and line.index(came[-1]) > line.index(left[0])
            assert not passed, f"job {came[-1]} came before job {left[0]}"

    def _stands(self, job: int) -> str:
        return self._places[job][0] if job in self._places else ""

    def check(self, found: Found, *, quiet: bool) -> None:
        self._check_turns(found)
        for job, line in self._came.items():
            # A fair turn is over once its job is taken.
            must = self._stands(job) == "ready" or line >= " "
            if must and job not in self._loose and self._stands(job) in ON_ITS_WAY:
                assert (line, job) in found.turns, f"job {job} was let in without a turn"
        self._came.clear()
        if quiet:
            self._unsure.clear()
            held = {line for line, _ in found.turns}
            for job, line in self._at.items():
                if line and self._stands(job) == IN_LINE:
                    is_found = line in held or line in found.marks
                    assert is_found, f"nobody will ever let in job {job} of line {line!r}"
        self._turns = found.turns
        self._passed = defaultdict(
            set, {p: v for p, v in self._passed.items() if self._stands(p[0]) == "ready"}
        )

    def _check_turns(self, found: Found) -> None:
        lines = [line for line, _ in found.turns]
        many = {line for line in lines if lines.count(line) > 1}
        assert not many, f"several have a turn of {many}"
        for line, job in found.turns:
            may = ("ready",) if line < " " else ("ready", "claim")
            is_right = self._stands(job) in may
            assert is_right, f"job {job} has a turn of {line!r}, and is {self._stands(job)}"
        for line, job in self._turns - found.turns:
            kept = ("ready",) if line < " " else ("ready", "claim")
            assert self._stands(job) not in kept, f"job {job} has lost its turn of {line!r}"
