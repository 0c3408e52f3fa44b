"""A supervisor as the model needs it: what it knows, and the statements that it sends."""

import os
from typing import Any

from effects import Promoted, Pulled, Rescued, Settled
from reference import MAX_LOST, QUEUES, Reference
from sessions import Rows, Session, query, sql

from wsup.sql.answers import KEY_MARKS, Held, Row
from wsup.sql.limits import open_rooms
from wsup.sql.settlement import CANCELLED, EXPIRED, SUCCEEDED, Back, Entry, Failure, Over, columns
from wsup.supervisor.gather import Gather
from wsup.supervisor.limits import PerHost
from wsup.supervisor.recovery import Recovery

ENDINGS = [
    "succeeds",
    "fails",
    "snoozes",
    "sleeps long",
    "is cancelled",
    "is given back",
    "expires",
]
#: By step of a transaction, what may have come before it.
EARLIER = {
    "settle": (),
    "promote": ("settle",),
    "pull": ("settle", "promote"),
    "rescue": (),
    "beat": (),
}
_ROW = {
    "host": "model",
    "pid": os.getpid(),
    "version": "0",
    "subworkers": 1,
    "lease": 10.0,
    "direct": True,
    "agent": None,
    "cpus": 1,
}


def ending(row: Row, how: str, retries: int) -> Entry:
    """What a supervisor says of an attempt that ends so."""
    claim, job, attempt = row[:3]
    match how:
        case "succeeds":
            return Over(claim, job, attempt, SUCCEEDED, 0.0, 0, b"1")
        case "is cancelled":
            return Over(claim, job, attempt, CANCELLED, 0.0, 0, None, "why")
        case "expires":
            return Over(claim, job, attempt, EXPIRED, 0.0, 0, None, "why")
        case "fails":
            after = 0.0 if attempt <= retries else None
            return Failure(claim, job, attempt, 0, "E", "m", None, 0.0, after)
    delays = {"snoozes": 0.0, "sleeps long": 3600.0, "is given back": None}
    return Back(claim, job, attempt, delays[how])


class Host:
    """The steps of a turn are taken in its order, each by a call: settle, promote, pull, commit."""

    def __init__(self, session: Session, reference: Reference) -> None:
        self.session = session
        self._reference = reference
        self.id = 0
        self.be_born()

    def be_born(self) -> None:
        """A new life: registered anew, knowing nothing."""
        #: What was pulled and has not ended, by claim and job.
        self.held: dict[tuple[int, int], Row] = {}
        self.sending: list[Entry] = []
        #: Of these, what is to be sent again: its claims were locked.
        self.deferred: list[Entry] = []
        #: The connection was lost: first of all, the claims must be compared.
        self.lost = False
        self.gather = Gather(
            on_finished=_nothing,
            on_ready=_nothing,
            on_unfit=_nothing,
            on_returned=_nothing,
            on_untrusted=_nothing,
        )
        self.recovery = Recovery(self.gather)
        self.per_host = PerHost(self.held.values)
        self.session.send(query("register", {**_ROW, "queues": ["a", "b"]}), self._registered)

    def _registered(self, rows: Rows) -> None:
        self.id = rows[0][0]

    def finish(self, which: int, count: int, how: str) -> None:
        """Some of the jobs held here end."""
        for _ in range(min(count, len(self.held))):
            row = self.held.pop(sorted(self.held)[which % len(self.held)])
            request = self._reference.requests.get(row[1])  # None: given to others, and purged
            retries = request.retries if request else 0
            self.gather.finished.append(ending(row, how, retries))

    def can(self, step: str) -> bool:
        """Is it this step's turn, in the transaction that is open or in a new one?"""
        steps = self.session.steps
        return (
            not self.lost
            and not self.session.waiting
            and (steps is None or (set(steps) <= set(EARLIER[step])))
        )

    def _take(self, step: str) -> list[Any]:
        """Begin if nothing is open; returns where to note what the step changes."""
        assert self.can(step)
        if not self.session.open:
            self.session.begin()
        assert self.session.steps is not None
        self.session.steps.append(step)
        return self.session.effects

    def settle(self, room: int = 0) -> None:
        """With room, a pull of as many jobs must follow."""
        entries = self.gather.finished
        if not entries:
            return
        self.sending, self.gather.finished = entries, []
        supervisor, effects = self.id, self._take("settle")
        if room:
            self.session.send(query("hand_over", [room, QUEUES]))
        self.session.send(
            query("settle", columns(supervisor, entries)),
            lambda rows: effects.append(self._settled(supervisor, entries, *rows[0])),
        )

    def _settled(
        self,
        supervisor: int,
        entries: list[Entry],
        refused: int,
        _passed: int,
        locked: list[int] | None,
    ) -> Settled:
        self.deferred = [entry for entry in entries if entry.claim in (locked or ())]
        taken = [entry for entry in entries if entry not in self.deferred]
        return Settled(supervisor, taken, refused)

    def promote(self, n: int) -> None:
        effects = self._take("promote")
        self.session.send(query("promote", [n]), lambda rows: effects.append(Promoted(rows[0][0])))

    def pull(self, queues: list[str], n: int) -> None:
        supervisor, effects = self.id, self._take("pull")
        asked = frozenset(self._reference.asked)

        def told(rows: Rows) -> None:
            effects.append(Pulled(supervisor, rows, asked))

        done = self.session.send(query("pull", [supervisor, [*queues, KEY_MARKS], n, True]), told)
        if done and (rooms := self.per_host.rooms(n)):
            where = open_rooms(supervisor, queues, rooms)
            self.session.send(query("pull_per_host", where), told)

    def hear(self) -> list[Any]:
        """Look for what is to be cancelled here, and end it; returns what that has changed."""
        if self.session.open or not self.can("beat"):
            return []
        rows: Rows = []
        self.session.send(query("cancelling", {"supervisor": self.id}), rows.extend)
        pairs = {(row[0], row[1]) for row in rows}
        self.gather.cancel(pairs)
        for pair in sorted(pairs & self.held.keys()):
            self.gather.finished.append(ending(self.held.pop(pair), "is cancelled", 0))
        return [Pulled(self.id, [])]

    def rescue(self, dead: int, *, locked: bool) -> None:
        claims = frozenset() if locked else self._reference.claims(dead)
        effects = self._take("rescue")
        self.session.send(
            sql("SELECT wsup.rescue(%s, %s, 0)", [dead, MAX_LOST]),
            lambda rows: effects.append(Rescued(dead, rows[0][0], claims)),
        )

    def heard(self, effects: list[Any]) -> None:
        """The reply to COMMIT has come."""
        self.gather.finished[:0] = self.deferred
        self.sending, self.deferred = [], []
        for effect in effects:
            if isinstance(effect, Pulled) and effect.rows:
                self.recovery.pulled(effect.rows)
                self.held.update({(row[0], row[1]): row for row in effect.rows})

    def lose(self, session: Session) -> None:
        """The connection is lost; there is another one. What was sent may or may not be there."""
        self.session = session
        self.gather.finished[:0] = self.sending
        self.sending, self.deferred = [], []
        self.lost, session.refused = True, False

    def compare(self) -> None:
        """After a loss, and now and then: what does the database think is held here?"""
        if self.session.open or self.session.waiting:
            return
        rows: Rows = []
        self.session.send(query("own_claims", {"supervisor": self.id, "since": 0}), rows.extend)
        self.recovery.compare(
            [Held(*row) for row in rows], self.held.values(), (), after_loss=self.lost
        )
        held = {(row[0], row[1]) for row in rows}
        known = self.held.keys() | {(e.claim, e.job) for e in self.gather.finished}
        assert held <= known, f"ghosts that are not given back: {held - known}"
        if self.lost:
            late = {(e.claim, e.job) for e in self.gather.finished} - held
            assert not late, f"results that were committed or refused already: {late}"
        self.lost = False

    def beat(self) -> bool:
        """False if somebody has buried it: then it rises again, knowing nothing."""
        if not self.can("beat"):
            return True
        rows: Rows = []
        values = {"queues": ["a"], "jobs_done": 0, "memory": 0, "occupancy": [0.0], "tell": False}
        if not self.session.send(query("beat", {"supervisor": self.id, **values}), rows.extend):
            self.session.roll_back()  # somebody is just about to
            return True
        return bool(rows[0][0])


def _nothing(*_: object) -> None:
    pass
