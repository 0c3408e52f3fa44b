"""The machine of relations, with jobs that have keys: lines, turns and marks; and the keeper of all
their lanes."""

from typing import ClassVar

from effects import KeyLimited, Request
from hosts import Host
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from lanes import Swept
from machine import host
from people import often, which, writer
from reference import QUEUES
from relations import READ_COMMITTED, Relations, isolation, mostly_well
from sessions import query
from turns import LIMITS

keys = st.sampled_from(sorted(LIMITS))
priorities = st.integers(-1, 1)
limits = st.sampled_from([None, 1, 2, 3])


class Keys(Swept, Relations):
    tables: ClassVar = ("blocked", "key_holder", "ready")

    @initialize(
        jobs=st.lists(st.tuples(keys, priorities), min_size=2, max_size=5),
        taken=st.lists(st.integers(1, 2), max_size=3),
        lost=st.booleans(),
    )
    def begin(self, jobs: list[tuple[str, int]], taken: list[int], lost: bool) -> None:
        for number, (key, priority) in enumerate(jobs):
            self.enqueue_keyed(number % 2, "one", key, priority, None, READ_COMMITTED, commit=True)
        self.take(taken)
        if lost:
            self.lose_all(taken)

    @rule(
        writer=writer, way=st.sampled_from(["one", "one", "one later", "few", "COPY", "undone"]),
        key=keys, priority=priorities, parent=st.one_of(st.none(), st.none(), which),
        isolation=isolation, commit=often,
    )  # fmt: skip
    def enqueue_keyed(
        self, writer: int, way: str, key: str, priority: int, parent: int | None, isolation: str,
        commit: bool,
    ) -> None:  # fmt: skip
        known = list(self.reference.places)
        session = self._writer(writer, isolation, 2 if way in ("few", "COPY") else 1)
        if session is None:
            return
        parents = {known[parent % len(known)]: True} if known and parent is not None else {}
        request = Request(
            QUEUES[priority % 2], priority, priority % 2, way == "one later", None, parents, key
        )
        if parents:
            self._send_child(session, request)
        else:
            self._send_jobs(session, request, way)
        self._go_on(session, commit=commit)

    @rule(key=keys, limit=limits, commit=often)
    def set_limit(self, key: str, limit: int | None, commit: bool) -> None:
        effect = KeyLimited(key, limit)
        self._operate(
            query("key_limit", [key, limit]),
            lambda _rows: self.operator.effects.append(effect),
            commit,
        )

    @rule(
        key=keys, priority=priorities, limit=st.integers(2, 3),
        how=st.one_of(st.none(), mostly_well),
    )  # fmt: skip
    def come_late(self, key: str, priority: int, limit: int, how: str | None) -> None:
        """A host has a key in hand. Meanwhile a job joins the line, and another host, on which
        perhaps jobs of that key have ended, meets the mark."""
        if (hosts := self._in_hand(key, limit)) is None:
            return
        first, second = hosts
        self.enqueue_keyed(0, "one", key, priority, None, READ_COMMITTED, commit=True)
        if how is not None:
            self.settle(self.hosts.index(second), 0, 3, how, send=True)
        self.pull(self.hosts.index(second), 1, QUEUES, heard=True)
        self._turn_goes_on(first, commit=True)

    @rule(key=keys, priority=priorities, how=mostly_well, cancel=st.booleans())
    def pass_on_to_nobody(self, key: str, priority: int, how: str, cancel: bool) -> None:
        """As before, and an operator is about to cancel all who are in line, but may not do it."""
        self._close(self.writers[0])
        self.enqueue_keyed(0, "few", key, priority, None, READ_COMMITTED, commit=True)
        if (hosts := self._in_hand(key, 1)) is None:
            return
        self._cancel(self.reference.turns.line(key), commit=False)
        self.settle(self.hosts.index(hosts[1]), 0, 3, how, send=True)
        if cancel:
            self._close(self.operator)
        elif self.operator.open:
            self.roll_back(self.operator)
        for mind in hosts:
            self._turn_goes_on(mind, commit=True)

    @rule(host=host, which=which, count=st.integers(1, 3), how=mostly_well, room=st.integers(1, 4))
    def hand_over(self, host: int, which: int, count: int, how: str, room: int) -> None:
        """A turn whose pull takes those that its results let in as they are."""
        mind = self._able(host, "settle")
        if mind is None or mind.session.open:
            return
        mind.finish(which, count, how)
        mind.settle(room)
        if mind.session.waiting:
            self.break_off(self.hosts.index(mind), dies=False)
        elif mind.session.open:
            mind.pull(QUEUES, room)
            self._turn_goes_on(mind, commit=True)

    def _in_hand(self, key: str, limit: int) -> tuple[Host, Host] | None:
        """A host that is just looking at this line, and another one, perhaps with a job of it."""
        self._close(self.operator, self.writers[0])
        self.set_limit(key, limit, commit=True)  # this marks the key
        minds = [mind for mind in self.hosts if mind.can("settle") and not mind.session.open]
        if len(minds) < 2:
            return None
        if not any(self._has_turn(mind, key) for mind in minds):
            self.pull(self.hosts.index(minds[1]), 2, QUEUES, heard=True)
            self.set_limit(key, limit, commit=True)
        minds.sort(key=lambda mind: self._has_turn(mind, key))
        self.pull(self.hosts.index(minds[0]), 1, QUEUES, heard=False)
        return minds[0], minds[-1]

    def _has_turn(self, mind: Host, key: str) -> bool:
        return any((key, job) in self.reference.turns.held() for _, job in mind.held)
