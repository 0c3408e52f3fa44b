"""The protocol's machine, with jobs that wait for others and unique ones."""

from dataclasses import replace

from effects import Enqueued, Purged, Replaced, Request
from hosts import ENDINGS, Host
from hypothesis import strategies as st
from hypothesis.stateful import rule
from machine import Machine, host
from parents import ENDED
from people import MOST_JOBS, UNWELL, often, which, writer
from reference import QUEUES
from sessions import Rows, Session, query
from turns import IN_LINE
from writing import child, unique

#: So many more of those that are related.
MORE_JOBS = 6
READ_COMMITTED = "READ COMMITTED"
UNSTARTED = ("ready", "waiting", "blocked", IN_LINE)
isolation = st.sampled_from([READ_COMMITTED, READ_COMMITTED, "REPEATABLE READ", "SERIALIZABLE"])
#: Most children wait for a good end.
mostly_well = st.sampled_from(["succeeds"] * 3 + ENDINGS)
later = st.sampled_from([False, False, False, True])


class Relations(Machine):
    # writers ------------------------------------------------------------------------------------

    def _writer(self, number: int, isolation: str, jobs: int) -> Session | None:
        """That one, in a transaction, unless it waits or there are jobs enough."""
        session = self.writers[number]
        if session.waiting or self.made >= MOST_JOBS + MORE_JOBS:
            return None
        if not session.open:
            session.begin(isolation)
        self.made += jobs
        return session

    @rule(
        writer=writer, first=which, second=which, lax=st.booleans(), later=later,
        isolation=isolation, commit=often,
    )  # fmt: skip
    def enqueue_child(
        self, writer: int, first: int, second: int, lax: bool, later: bool, isolation: str,
        commit: bool,
    ) -> None:  # fmt: skip
        """Of one or two parents: running ones, ended ones, and such as are not committed."""
        session = self._writer(writer, isolation, 1)
        if session is None:
            return
        known = sorted(self.reference.places.keys() | self._uncommitted())
        if not known:
            return
        parents = {known[first % len(known)]: False, known[-1 - second % len(known)]: lax}
        request = Request(QUEUES[first % 2], 0, second % 2, later, parents=parents)
        self._send_child(session, request)
        self._go_on(session, commit=commit)

    def _send_child(self, session: Session, request: Request) -> None:
        session.send(child(request), lambda rows: self._is_child(session, request, rows))

    def _uncommitted(self) -> set[int]:
        return {
            effect.job
            for session in self.writers
            for effect in session.effects
            if isinstance(effect, Enqueued)
        }

    def _is_child(self, session: Session, request: Request, rows: Rows) -> None:
        """It waits for just those of its parents that its transaction sees not to have ended."""
        own = {e.job: e.state for e in session.effects if isinstance(e, Enqueued)}
        states = {job: own.get(job, self.reference.kind(job)) for job in request.parents}
        exact = session.isolation == READ_COMMITTED
        if not rows:
            assert None in states.values() or not exact, f"refused, but for {states}"
            return
        ((job, state, edges),) = rows
        if exact:
            doomed = any(
                not lax and states[parent] in UNWELL for parent, lax in request.parents.items()
            )
            open_ = {parent for parent, s in states.items() if s not in ENDED}
            assert doomed == (state == "cancelled"), f"job {job} is {state}, of parents {states}"
            assert doomed or open_ == set(edges), f"job {job} waits for {edges}, of {states}"
        waits = {parent: request.parents[parent] for parent in edges}
        session.effects.append(Enqueued(job, request, state, waits))

    @rule(
        writer=writer, keys=st.sampled_from([["k"], ["k"], ["l"], ["k", "l"]]),
        on_conflict=st.sampled_from(["skip", "replace", "raise"]), priority=st.integers(0, 1),
        later=later, isolation=isolation, commit=often,
    )  # fmt: skip
    def enqueue_unique(
        self, writer: int, keys: list[str], on_conflict: str, priority: int, later: bool,
        isolation: str, commit: bool,
    ) -> None:  # fmt: skip
        session = self._writer(writer, isolation, len(keys))
        if session is None:
            return
        request = Request(QUEUES[priority], priority, 0, later)
        self._send_unique(session, request, keys, on_conflict)
        self._go_on(session, commit=commit)

    def _send_unique(
        self, session: Session, request: Request, keys: list[str], on_conflict: str
    ) -> None:
        session.send(
            unique(request, keys, on_conflict), lambda rows: self._is_unique(session, request, rows)
        )

    def _is_unique(self, session: Session, request: Request, rows: Rows) -> None:
        own = {e.job for e in session.effects if isinstance(e, Enqueued | Replaced)}
        for key, job, made, state in rows:
            asked = replace(request, unique_key=key)
            kind = self.reference.kind(job)
            if made == "new":
                assert kind is None, f"the number of job {job} was given twice"
                session.effects.append(Enqueued(job, asked, state))
            elif made == "replaced":
                assert job in own or kind in ("ready", "waiting"), f"job {job} was {kind}: replaced"
                session.effects.append(Replaced(job, asked, state))
            elif session.isolation == READ_COMMITTED:
                assert job in own or self.is_open(job), f"job {job}, {kind}, keeps {key}"

    # supervisors and operators ------------------------------------------------------------------

    def lose_all(self, taken: list[int]) -> None:
        """What is held was lost with its host once: a second time would be the last."""
        for mind, other in zip(self.hosts, [*self.hosts[1:], self.hosts[0]], strict=True):
            if mind.held:
                other.rescue(mind.id, locked=False)
                other.heard(self.commit(other.session))
        self.take(taken)

    @rule(host=host, commit=often)
    def look(self, host: int, commit: bool) -> None:
        """For what transactions could not see of each other."""
        if self.reference.parents.waiting() and (mind := self._able(host, "promote")):
            self._look_by(mind, commit=commit)

    def _look_by(self, mind: Host, *, commit: bool) -> None:
        mind.promote(100)
        self._turn_goes_on(mind, commit=commit)

    @rule(commit=often)
    def retry_all(self, commit: bool) -> None:
        """With their children: these wait for them again."""
        jobs = [job for job in self.reference.places if self.reference.kind(job) in UNWELL]
        self.run_again(jobs, commit=commit)

    @rule(job=which, unstarted=st.booleans(), commit=st.booleans())
    def purge(self, job: int, unstarted: bool, commit: bool) -> None:
        jobs = self._pick(job, UNSTARTED if unstarted else ENDED)

        def told(rows: Rows) -> None:
            self.operator.effects.extend(Purged(job) for job, state in rows if state == "purged")

        work = query("jobs_purge", {"jobs": jobs, "unstarted": unstarted})
        if jobs:
            self._operate(work, told, commit)
