"""What must be in the database: every job in one place, moved by what was committed alone."""

from collections import Counter
from collections.abc import Iterable

from effects import (
    Asked,
    Cancelled,
    Enqueued,
    KeyLimited,
    Promoted,
    Pulled,
    Purged,
    Replaced,
    Request,
    Rescued,
    Retried,
    Settled,
)
from found import Found, Place
from parents import ENDED, Parents
from turns import IN_LINE, LIMITS, Turns

from wsup.sql.settlement import Back, Entry, Failure, Over

STATES = ("", "succeeded", "failed", "cancelled", "expired")
QUEUES = ["a", "b"]
#: Losses with its host that a job survives.
MAX_LOST = 1


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
        self.parents = Parents()
        self.turns = self.judge = Turns(self.requests, self.places)

    def apply(self, effects: Iterable[object], found: Found) -> None:
        """A transaction has committed. Where the database has the choice, `found` tells it."""
        for effect in effects:
            self._follow(found)
            self._asked_for(effect, found)
            match effect:
                case Settled(supervisor, entries, refused):
                    self._settle(supervisor, entries, refused)
                    self._let_in(found)
                case Promoted(count):
                    self._promote(count, found)
                case Pulled():
                    self._drop(found)
                    self._let_in(found)  # a pull that ends a parent may bring its child
                    self._pull(effect)
                case Rescued():
                    self._rescue(effect, found)
                    self._let_in(found)
        self._follow(found)
        self.asked = found.asked

    def _asked_for(self, effect: object, found: Found) -> None:
        """What writers and operators have done."""
        match effect:
            case Enqueued(job, request, state, waits):
                self.requests[job] = request
                self._stand(job, state, 1, waits)
            case Replaced(job, request, state):
                self.requests[job] = request
                self._stand(job, state, 1)
            case Asked(job):
                assert job in found.asked, f"the request to cancel job {job} is lost"
            case Cancelled(job):
                self._stand(job, "cancelled", self.places[job][3])
            case Retried(job, state, waits):
                self.again[job] += 1
                self._stand(job, state, self.places[job][3] + 1, waits)
            case Purged(job):
                self._forget(job)
            case KeyLimited(key, None):
                self.turns.given.pop(key, None)
            case KeyLimited(key, limit):
                self.turns.given[key] = limit

    def _stand(
        self, job: int, state: str, attempt: int, waits: dict[int, bool] | None = None
    ) -> None:
        """Nobody holds it."""
        self.due.discard(job)
        if state == "blocked" and not waits:
            state = IN_LINE
        self.places[job] = (state, 0, 0, attempt)
        self.parents.hold(job, waits or {})

    def _forget(self, job: int) -> None:
        self._stand(job, "", 0)
        del self.places[job], self.requests[job]
        for key in [key for key in self.failures if key[0] == job]:
            del self.failures[key]

    def _follow(self, found: Found) -> None:
        """Children have gone where the database says, if what their parents did allows it."""
        self.parents.note(self.kind)
        for job in self.parents.waiting():
            place, places = self.places[job], found.places.get(job, [])
            if places == [place]:
                continue
            if self.parents.is_doomed(job) and [p[0] for p in places] == ["cancelled"]:
                self._stand(job, "cancelled", place[3])
            elif self.parents.is_free(job):
                later = self.requests[job].later
                self._stand(job, "waiting" if later else self._when_due(job), place[3])
            # A child is younger than its parents: its own children come later in this loop.
            self.parents.note(self.kind)

    def _when_due(self, job: int) -> str:
        return IN_LINE if self.requests[job].key else "ready"

    def lines(self) -> dict[str, list[int]]:
        return {key: self.turns.line(key) for key in LIMITS}

    def _let_in(self, found: Found) -> None:
        """Jobs have got their turn: so the database says. `Turns` checks that they may."""
        self._follow(found)
        for line in self.lines().values():
            for job in line:
                place = self.places[job]
                if place not in found.places.get(job, []) and not self._is_dropped(job, found):
                    self._stand(job, "ready", place[3])

    def is_parent_dropped(self) -> bool:
        """May the next pull end a parent, because it is to be cancelled, and so bring a child?"""
        return self.parents.have_any(self.asked)

    def claims(self, supervisor: int) -> frozenset[int]:
        return frozenset(p[2] for p in self.places.values() if p[:2] == ("claim", supervisor))

    def kind(self, job: int) -> str | None:
        return self.places[job][0] if job in self.places else None

    def check_pulled(self, jobs: list[int], queues: list[str], n: int) -> None:
        """These are what a pull has brought that nobody disturbs."""
        must = self.next_jobs(queues, n)
        assert jobs == must, f"the next jobs: {jobs}, must be {must}"

    def next_jobs(self, queues: list[str], n: int) -> list[int]:
        """What a pull must bring that nobody disturbs: by priority, then age."""
        come = self.turns.next_in(self.asked)
        ready = [
            job
            for job, request in self.requests.items()
            if (self.kind(job) == "ready" and job not in self.asked) or job in come
            if request.queue in queues
        ]
        return sorted(ready, key=lambda job: (-self.requests[job].priority, job))[:n]

    def _settle(self, supervisor: int, entries: list[Entry], refused: int) -> None:
        late = 0
        for entry in entries:
            if self.places.get(entry.job) != ("claim", supervisor, entry.claim, entry.attempt):
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
        waits = delay is not None and (delay > 0 or self._stands_anew(job))
        self.places[job] = ("waiting" if waits else "ready", 0, 0, attempt)
        if waits and delay == 0:
            self.due.add(job)

    def _stands_anew(self, job: int) -> bool:
        """May it have to stand in line again, when it is put off?"""
        return self.requests[job].key is not None

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
            self._stand(job, self._when_due(job), self.places[job][3])

    def _is_dropped(self, job: int, found: Found) -> bool:
        """Was it to be cancelled, and is so now, without having been held by anybody?"""
        places = found.places.get(job, [])
        return job in self.asked and [place[0] for place in places] == ["cancelled"]

    def _drop(self, found: Found) -> None:
        for job, place in self.places.items():
            if place[0] in ("ready", "waiting", IN_LINE) and self._is_dropped(job, found):
                self._stand(job, "cancelled", place[3])

    def _pull(self, pulled: Pulled) -> None:
        for claim, job, attempt, *_ in pulled.rows:
            place = self.places.get(job)
            assert place == ("ready", 0, 0, attempt), f"job {job} was pulled from {place}"
            spent = self.failures[job, attempt, False]
            assert not spent, f"attempt {attempt} of job {job} has failed, and is made again"
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

    def lost(self, job: int) -> int:
        return sum(n for (j, _, lost), n in self.failures.items() if j == job and lost)

    def check(self, found: Found, *, quiet: bool) -> None:
        """That the database is as it must be, and that no job was tried more than is allowed.

        If it is quiet, no transaction is open.
        """
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
        if quiet:
            left = self.parents.left_behind(self.kind)
            lost = {job for job, about in left.items() if not about & found.loose}
            assert not lost, f"nobody will ever look whether jobs {lost} are to run"
        self._check_unique_keys()
        self.judge.check(found, quiet=quiet)

    def _check_unique_keys(self) -> None:
        """Of those that an operator has not run again, one unfinished job has a key."""
        keys = Counter(
            request.unique_key
            for job, request in self.requests.items()
            if request.unique_key and not self.again[job] and self.kind(job) not in ENDED
        )
        assert not keys or max(keys.values()) == 1, f"more than one unfinished job: {keys}"
