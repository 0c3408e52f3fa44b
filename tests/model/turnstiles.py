"""Who stands at a limit, and who was let in: the reference of limits.

Where a job stands is followed from what is found after each commit; here is said what that may be.
The clock stands still but when a day passes, so that rates can be reckoned with.
"""

from collections.abc import Mapping
from typing import NamedTuple

from effects import Limit, Limited, Request
from found import Found, Place
from turns import IN_LINE

#: The limits that there are, by the name of their gate, in the order in which jobs pass them.
QUEUE, TASK = "\x052a", "\x053task"
GATES = {QUEUE: ("queue", "a"), TASK: ("task", "task")}
NONE = Limit()
#: Of a token: the clock's days are a little longer than one.
TOLERANCE = 0.001
#: Where a job stands that has not ended, but for those that are put off.
ON_ITS_WAY = ("ready", "claim", IN_LINE)


class Bucket(NamedTuple):
    """What is known of a gate."""

    limit: Limit = NONE
    #: Those that surely have a turn.
    turns: frozenset[int] = frozenset()
    #: No more can have one: what runs goes on when a limit is lowered.
    most: int = 0
    #: No more can be let in now.
    tokens: float = 0
    #: Since its limit has changed there has always been a transaction open, which may know only the
    #: old one.
    unsure: bool = False


class Gates:
    def __init__(self, requests: Mapping[int, Request], places: Mapping[int, Place]) -> None:
        self._requests = requests
        self._places = places
        self.buckets = {gate: Bucket() for gate in GATES}
        #: At which gate a job stands; in none: it has passed all. What isn't here comes anew.
        self._at: dict[int, str | None] = {}
        #: The transaction that has just been committed was alone.
        self.alone = False
        #: Limits have become others, by which what was ready may stand in line now …
        self._changed = False
        #: … and must, at this gate.
        self._new: str | None = None
        #: Those that may stand among the others, or apart, as was right before the limits changed.
        self.loose: set[int] = set()

    def order(self, job: int) -> tuple[int, int]:
        return -self._requests[job].priority, job

    def lines(self) -> dict[str, list[int]]:
        """By gate, who stands there, the first one first."""
        found: dict[str, list[int]] = {gate: [] for gate in GATES}
        for job in sorted(self._at, key=self.order):
            if (gate := self._at[job]) is not None and self._places[job][0] == IN_LINE:
                found[gate].append(job)
        return found

    def is_per_host(self) -> bool:
        """May some stand apart?"""
        return self.buckets[TASK].unsure or self.buckets[TASK].limit.per_host is not None

    # what happens -------------------------------------------------------------------------------

    def day_passes(self) -> None:
        for gate, b in self.buckets.items():
            # Not bounded by `burst` yet: who has let somebody in today may commit tomorrow.
            self.buckets[gate] = b._replace(tokens=b.tokens + (b.limit.per_day or 0))

    def set_limit(self, limited: Limited) -> None:
        b, limit = self.buckets[limited.gate], limited.limit
        was = b.limit
        if self.alone and (was.per_host is None) != (limit.per_host is None):
            self.loose.clear()
        if self.alone and not (was.max_running or was.per_day):
            self._new = limited.gate if limit.max_running or limit.per_day else None
        self.buckets[limited.gate] = Bucket(
            limit,
            # What had been let in without a limit, or before it was lifted, isn't counted.
            b.turns if was.max_running and limit.max_running else frozenset(),
            max(b.most, limit.max_running or 0),
            max(b.tokens, limit.burst or 0),
            unsure=True,
        )
        self._changed = True

    def come_anew(self, job: int) -> None:
        """It stands nowhere yet, and has no turn."""
        self._at.pop(job, None)
        self.loose.discard(job)
        for gate, b in self.buckets.items():
            self.buckets[gate] = b._replace(turns=b.turns - {job})

    def follow(self, job: int, found: Found) -> str:
        """Where it stands now, in line or ready, if it may."""
        gates = self._gates(job)
        now = found.lines.get(job) if found.places[job][0][0] == IN_LINE else None
        before, after = self._number(job, gates), gates.index(now) if now else len(gates)
        if before > after:
            assert self._changed, f"job {job} was let in, and stands in line again"
            self.come_anew(job)
            before = 0
        for gate in gates[before:after]:
            self._let_in(job, gate)
        self._at[job] = now
        if self.buckets[TASK].unsure:
            self.loose.add(job)
        return IN_LINE if now else "ready"

    def _gates(self, job: int) -> list[str]:
        """That are its, whether they are limited now or not."""
        request = self._requests[job]
        return [gate for gate in GATES if GATES[gate][1] in (request.queue, "task")]

    def _number(self, job: int, gates: list[str]) -> int:
        """How many of them it has passed."""
        if job not in self._at:
            return 0
        at = self._at[job]
        return gates.index(at) if at else len(gates)

    def _let_in(self, job: int, gate: str) -> None:
        b = self.buckets[gate]
        if not b.unsure:
            turns = b.turns | {job} if b.limit.max_running else b.turns
            tokens = b.tokens - 1 if b.limit.per_day else b.tokens
            self.buckets[gate] = b._replace(turns=turns, tokens=tokens)

    # that all is well ---------------------------------------------------------------------------

    def check_order(self, lines: Mapping[str, list[int]]) -> None:
        """Of those who were in line, none has been passed over."""
        for gate, line in lines.items():
            left = [j for j in line if self._stands(j) == IN_LINE and self._at.get(j) == gate]
            came = [j for j in line if self._stands(j) in ON_ITS_WAY and j not in left]
            passed = came and left and line.index(came[-1]) > line.index(left[0])
            assert not passed, f"job {came[-1]} came before job {left[0]}"

    def _stands(self, job: int) -> str:
        return self._places[job][0] if job in self._places else ""

    def check(self, found: Found, *, quiet: bool) -> None:
        ready = {job for job in self._places if self._stands(job) == "ready"}
        if self._new:
            left = {job for job in ready if self._new in self._gates(job)}
            assert not left, f"jobs {left} don't stand in line at {self._new!r}, a new limit"
        self._changed, self._new = False, None
        per_host = self.buckets[TASK].limit.per_host
        wrong = (ready - found.apart if per_host else ready & found.apart) - self.loose
        assert not wrong, f"jobs {wrong} stand {'among' if per_host else 'apart from'} the others"
        lines = self.lines()
        for gate, before in self.buckets.items():
            turns = frozenset(job for job in before.turns if self._stands(job) in ON_ITS_WAY)
            b = before._replace(turns=turns)
            have = {job for key, job in found.turns if key == gate}
            self._check_gate(gate, b, have)
            # It is cleared of those from before the limit was lifted when it is looked at.
            over = {job for job in have if self._stands(job) not in ON_ITS_WAY}
            assert not over or gate in found.marks, f"jobs {over} have a turn, and don't run"
            if quiet:
                self._check_left(gate, b.limit, lines[gate], len(have), found)
                most = max(b.limit.max_running or 0, len(turns))
                tokens = min(b.tokens, b.limit.burst or 0)
                b = Bucket(b.limit, turns, most, tokens)
            self.buckets[gate] = b

    def _check_gate(self, gate: str, bucket: Bucket, have: set[int]) -> None:
        without, limit = bucket.turns - have, bucket.limit
        assert not without, f"jobs {set(without)} have no turn of {gate!r}"
        n = len(bucket.turns)
        assert n <= bucket.most, f"{n} have a turn of {gate!r}, {limit}"
        assert bucket.tokens > -TOLERANCE, f"too many were let in at {gate!r}, {limit}"

    def _check_left(
        self, gate: str, limit: Limit, line: list[int], held: int, found: Found
    ) -> None:
        """No transaction is open: whoever can be let in will be."""
        full = limit.max_running is not None and held >= limit.max_running
        rings = limit.per_day is not None and gate in found.timers
        if line and not full and not rings:
            assert gate in found.marks, f"nobody will ever let in jobs {line}"
