"""What must be in the database: every job in one place, moved by what was committed alone."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from wsup.sql.settlement import Back, Entry, Failure, Over

#: Kind of place, supervisor and claim (0 if it isn't one), attempt.
Place = tuple[str, int, int, int]
STATES = ("", "succeeded", "failed", "cancelled", "expired")
QUEUES = ["a", "b"]
#: Losses with its host that a job survives.
MAX_LOST = 1


@dataclass(frozen=True)
class Request:
    queue: str
    priority: int
    retries: int


@dataclass(frozen=True)
class Enqueued:
    job: int
    request: Request
    later: bool


@dataclass(frozen=True)
class Settled:
    supervisor: int
    entries: list[Entry]
    refused: int


@dataclass(frozen=True)
class Promoted:
    count: int


@dataclass(frozen=True)
class Pulled:
    supervisor: int
    rows: list[tuple[Any, ...]]
    #: What was to be cancelled when it was pulled: nothing of that may be among it.
    asked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Rescued:
    dead: int
    count: int
    #: The claims that were there when the rescue began.
    claims: frozenset[int]


@dataclass(frozen=True)
class Moved:
    """By an operator."""

    job: int
    to: str


@dataclass(frozen=True)
class Asked:
    """To be cancelled, by an operator: somebody holds it."""

    job: int


@dataclass
class Found:
    """What is in the database, in one snapshot."""

    requests: set[int] = field(default_factory=set)
    places: dict[int, list[Place]] = field(default_factory=dict)
    #: By job, attempt, and whether it was lost with its host.
    failures: Counter[tuple[int, int, bool]] = field(default_factory=Counter)
    #: Jobs that are to be cancelled.
    asked: set[int] = field(default_factory=set)
    #: What can't be right in itself.
    oddities: list[str] = field(default_factory=list)


LOOK = """
SELECT 'request', id, 0, 0, 0, NULL FROM wsup.job
UNION ALL SELECT 'asked', job, 0, 0, 0, NULL FROM wsup.cancel_request
UNION ALL
SELECT 'ready', r.job, 0, 0, r.attempt,
       CASE WHEN j.id IS NULL THEN 'ready without a request'
            WHEN (r.queue, r.rank) <> (j.queue, -1 - j.priority) THEN 'queue or rank is wrong' END
  FROM wsup.ready r LEFT JOIN wsup.job j ON j.id = r.job
UNION ALL SELECT 'waiting', job, 0, 0, attempt, NULL FROM wsup.waiting
UNION ALL
SELECT 'claim', n.job, c.supervisor, c.id, coalesce(
           (SELECT u.attempt FROM unnest(c.retried, c.attempts) AS u(job, attempt)
             WHERE u.job = n.job), 1), NULL
  FROM wsup.claim c, unnest(c.jobs) AS s(span),
       generate_series(lower(s.span), upper(s.span) - 1) AS n(job)
UNION ALL SELECT 'odd', 0, 0, id, 0, 'an empty claim' FROM wsup.claim WHERE isempty(jobs)
UNION ALL SELECT state::text, job, 0, 0, attempt, NULL FROM wsup.outcome
UNION ALL SELECT CASE WHEN lost THEN 'lost' ELSE 'failure' END, job, 0, 0, attempt, NULL
  FROM wsup.failure
"""


def look(observer: "psycopg.Connection[Any]") -> Found:
    """One statement, so one snapshot of what is committed."""
    found = Found()
    for kind, job, supervisor, claim, attempt, odd in observer.execute(LOOK):
        if odd:
            found.oddities.append(f"job {job}, claim {claim}: {odd}")
        if kind == "request":
            found.requests.add(job)
        elif kind == "asked":
            found.asked.add(job)
        elif kind in ("lost", "failure"):
            found.failures[job, attempt, kind == "lost"] += 1
        elif kind != "odd":
            found.places.setdefault(job, []).append((kind, supervisor, claim, attempt))
    return found


class Reference:
    """The committed state, as it follows from what was committed."""

    def __init__(self) -> None:
        self.requests: dict[int, Request] = {}
        self.places: dict[int, Place] = {}
        self.due: set[int] = set()
        self.failures: Counter[tuple[int, int, bool]] = Counter()
        #: By job, how often an operator had it run again.
        self.again: Counter[int] = Counter()
        self.asked: set[int] = set()

    def apply(self, effects: Iterable[object], found: Found) -> None:
        """A transaction has committed. Where the database has the choice, `found` tells it."""
        for effect in effects:
            match effect:
                case Enqueued(job, request, later):
                    self.requests[job] = request
                    self.places[job] = ("waiting" if later else "ready", 0, 0, 1)
                case Settled(supervisor, entries, refused):
                    self._settle(supervisor, entries, refused)
                case Promoted(count):
                    self._promote(count, found)
                case Pulled():
                    self._drop(found)
                    self._pull(effect)
                case Asked(job):
                    assert job in found.asked, f"the request to cancel job {job} is lost"
                case Rescued():
                    self._rescue(effect, found)
                case Moved(job, to):
                    self._move(job, to)
        self.asked = found.asked

    def claims(self, supervisor: int) -> frozenset[int]:
        return frozenset(p[2] for p in self.places.values() if p[:2] == ("claim", supervisor))

    def kind(self, job: int) -> str | None:
        return self.places[job][0] if job in self.places else None

    def next_jobs(self, queues: list[str], n: int) -> list[int]:
        """What a pull must bring that nobody disturbs: by priority, then age."""
        ready = [
            job
            for job, request in self.requests.items()
            if self.kind(job) == "ready" and request.queue in queues and job not in self.asked
        ]
        return sorted(ready, key=lambda job: (-self.requests[job].priority, job))[:n]

    def _settle(self, supervisor: int, entries: list[Entry], refused: int) -> None:
        late = 0
        for entry in entries:
            if self.places[entry.job] != ("claim", supervisor, entry.claim, entry.attempt):
                late += 1
                continue
            self.due.discard(entry.job)
            match entry:
                case Over():
                    self.places[entry.job] = (STATES[entry.state], 0, 0, entry.attempt)
                case Back():
                    self._put_back(entry.job, entry.attempt, entry.delay)
                case Failure():
                    self.failures[entry.job, entry.attempt, False] += 1
                    if entry.retry_after is None:
                        self.places[entry.job] = ("failed", 0, 0, entry.attempt)
                    else:
                        self._put_back(entry.job, entry.attempt + 1, entry.retry_after)
        assert refused == late, f"{refused} results were refused, {late} came too late"

    def _put_back(self, job: int, attempt: int, delay: float | None) -> None:
        self.places[job] = ("ready" if delay is None else "waiting", 0, 0, attempt)
        if delay == 0:
            self.due.add(job)

    def _promote(self, count: int, found: Found) -> None:
        gone = [
            job
            for job, place in self.places.items()
            if place[0] == "waiting" and place not in found.places.get(job, [])
        ]
        # Whether one that was then dropped had been promoted before makes no difference.
        moved = [job for job in gone if not self._is_dropped(job, found)]
        fits = len(moved) <= count <= len(gone)
        assert fits, f"{count} promoted, {moved} are gone from waiting"
        for job in moved:
            assert job in self.due, f"job {job} was promoted before it was due"
            self.places[job] = ("ready", 0, 0, self.places[job][3])
            self.due.discard(job)

    def _is_dropped(self, job: int, found: Found) -> bool:
        """Was it to be cancelled, and is so now, without having been held by anybody?"""
        places = found.places.get(job, [])
        return job in self.asked and [place[0] for place in places] == ["cancelled"]

    def _drop(self, found: Found) -> None:
        for job, place in self.places.items():
            if place[0] in ("ready", "waiting") and self._is_dropped(job, found):
                self._move(job, "cancelled")

    def _pull(self, pulled: Pulled) -> None:
        for claim, job, attempt, *_ in pulled.rows:
            place = self.places.get(job)
            assert place == ("ready", 0, 0, attempt), f"job {job} was pulled from {place}"
            assert job not in pulled.asked, f"job {job} was pulled although it was cancelled"
            self.places[job] = ("claim", pulled.supervisor, claim, attempt)

    def _rescue(self, rescued: Rescued, found: Found) -> None:
        """All that the dead one held when the rescue began, and nothing that it didn't hold."""
        left = {p[2] for places in found.places.values() for p in places if p[0] == "claim"}
        assert not (rescued.claims & left), f"claims {rescued.claims & left} were not rescued"
        gone = [
            (job, place[3])
            for job, place in self.places.items()
            if place[:2] == ("claim", rescued.dead) and place[2] not in left
        ]
        assert len(gone) == rescued.count, f"{rescued.count} rescued, the dead one held {gone}"
        for job, attempt in gone:
            over = self.lost(job) >= MAX_LOST
            self.failures[job, attempt, True] += 1
            self.places[job] = ("failed" if over else "ready", 0, 0, attempt)

    def _move(self, job: int, to: str) -> None:
        attempt = self.places[job][3]
        self.due.discard(job)
        if to == "ready":
            self.again[job] += 1
            attempt += 1
        self.places[job] = (to, 0, 0, attempt)

    def lost(self, job: int) -> int:
        return sum(n for (j, _, lost), n in self.failures.items() if j == job and lost)

    def check(self, found: Found) -> None:
        """That the database is as it must be, and that no job was tried more than is allowed."""
        assert not found.oddities, found.oddities
        assert found.requests == set(self.requests), "of what was rolled back, nothing is left"
        for job in self.places.keys() | found.places.keys():
            must, have = self.places.get(job), found.places.get(job, [])
            assert have == [must], f"job {job} must be in {must}, and is in {have}"
        assert found.failures == self.failures
        for job, request in self.requests.items():
            most = request.retries + 1 + self.again[job]
            assert found.places[job][0][3] <= most, f"job {job}: more than {most} attempts"
            assert self.lost(job) <= MAX_LOST + 1 + self.again[job]
