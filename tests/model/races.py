"""The machine of relations, brought on purpose into what seldom comes about by itself: several
transactions that can't see each other, about the same few jobs."""

from effects import Request
from hosts import Host
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from people import often, which
from reference import QUEUES
from relations import READ_COMMITTED, Relations, mostly_well


class Races(Relations):
    @initialize(
        jobs=st.integers(2, 3),
        children=st.lists(st.tuples(which, which, st.booleans()), min_size=1, max_size=3),
        looked=often,
        taken=st.lists(st.integers(1, 2), max_size=3),
        lost=st.booleans(),
    )
    def begin(
        self, jobs: int, children: list[tuple[int, int, bool]], looked: bool, taken: list[int],
        lost: bool,
    ) -> None:  # fmt: skip
        """Most children are known to all, so that nobody looks for their sake; several hosts may
        hold the parents of one, and may have lost them once before."""
        self.start(jobs)
        for first, second, lax in children:
            self.enqueue_child(0, first, second, lax, False, READ_COMMITTED, commit=True)
        if looked:
            self._look_by(self.hosts[0], commit=True)
        self.take(taken)
        if lost:
            self.lose_all(taken)

    def _running(self, key: str | None = None) -> tuple[Host, tuple[int, int]] | None:
        """A host that has no transaction open, and one of its jobs: any, or a unique one."""
        for mind in self.hosts:
            if mind.can("settle") and not mind.session.open:
                if not mind.held:
                    self.pull(self.hosts.index(mind), 2, QUEUES, heard=True)
                for claim, job in sorted(mind.held):
                    request = self.reference.requests.get(job)
                    if key is None or (request and request.unique_key == key):
                        return mind, (claim, job)
        return None

    def _end_job(self, mind: Host, held: tuple[int, int], how: str) -> None:
        mind.finish(sorted(mind.held).index(held), 1, how)
        mind.settle()
        self.check()

    @rule(which=which, how=mostly_well, child=often, commit=often)
    def end_at_once(self, which: int, how: str, child: bool, commit: bool) -> None:
        """On all hosts jobs end, and none of the transactions has seen the others'. Mostly they
        have a child in common, that nobody looks for any more."""
        if child:
            self._have_child()
        minds = [mind for mind in self.hosts if mind.held and mind.can("settle")]
        for mind in minds:
            mind.finish(which, 3, how)
            mind.settle()
            self.check()
        for mind in minds:
            self._turn_goes_on(mind, commit=commit)

    def _have_child(self) -> None:
        """Of a job of each host that has no transaction open."""
        minds = [mind for mind in self.hosts if mind.can("settle") and not mind.session.open]
        for mind in minds:
            if not mind.held:
                self.pull(self.hosts.index(mind), 1, QUEUES, heard=True)
        parents = {max(mind.held)[1]: False for mind in minds if mind.held}
        self._close(self.writers[0])
        if parents and (session := self._writer(0, READ_COMMITTED, 1)):
            self._send_child(session, Request("a", 0, 0, parents=parents))
            self._go_on(session, commit=True)
            self._look_by(minds[0], commit=True)

    @rule(how=mostly_well, look=often, commit=often)
    def enqueue_late(self, how: str, look: bool, commit: bool) -> None:
        """A child is enqueued while its parent ends: neither transaction has seen the other. Then
        somebody looks, before the parent's end is committed."""
        self._close(self.writers[0])
        if (found := self._running()) is None:
            return
        if (session := self._writer(0, READ_COMMITTED, 1)) is None:
            return
        mind, held = found
        self._end_job(mind, held, how)
        self._send_child(session, Request("a", 0, 0, parents={held[1]: False}))
        self._go_on(session, commit=commit)
        others = (m for m in self.hosts if m is not mind and m.can("promote"))
        if look and (other := next(others, None)):
            self._look_by(other, commit=True)
        self._turn_goes_on(mind, commit=commit)

    @rule(key=st.sampled_from(["k", "l"]), on_conflict=st.sampled_from(["skip", "replace"]))
    def race_for_key(self, key: str, on_conflict: str) -> None:
        """All writers ask for the same key before the first of them has committed."""
        self._close(*self.writers)
        self._all_ask(key, on_conflict)
        self._close(*self.writers)

    @rule(key=st.sampled_from(["k", "l"]))
    def take_over_key(self, key: str) -> None:
        """They have waited for one who had the key's row when its job ended: one of them takes it
        over, and the next must see that."""
        self._close(*self.writers, self.operator)
        self.enqueue_unique(0, [key], "skip", 1, False, READ_COMMITTED, commit=True)
        if (found := self._running(key)) is None:
            return
        self.operator.begin()
        self._send_unique(self.operator, Request("a", 0, 0), [key], "replace")
        self._all_ask(key, "replace")
        self._end_job(*found, "succeeds")
        self._turn_goes_on(found[0], commit=True)
        self._close(self.operator)
        for session in sorted(self.writers, key=lambda session: session.waiting):
            self._go_on(session, commit=True)

    def _all_ask(self, key: str, on_conflict: str) -> None:
        for number in range(len(self.writers)):
            if session := self._writer(number, READ_COMMITTED, 1):
                self._send_unique(session, Request("a", 0, 0), [key], on_conflict)
                self.check()
