"""Those who ask for jobs, cancel them and have them run again; and the check after each step."""

from collections.abc import Callable

from effects import Asked, Cancelled, Enqueued, Request, Retried
from hosts import Host
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from parents import ENDED
from reference import QUEUES, Reference
from sessions import Rows, Session, Work, query
from turns import IN_LINE
from world import HOSTS, WRITERS, World
from writing import and_standing, in_savepoint, insert

writer = st.integers(0, WRITERS - 1)
which = st.integers(0, 5)
often = st.sampled_from([True, True, True, False])
#: Jobs that a run makes at most: few, so that many steps meet the same ones.
MOST_JOBS = 8
#: What an operator may have run again.
UNWELL = ("failed", "cancelled", "expired")


class People(RuleBasedStateMachine):
    #: Given by a subclass.
    world: World

    def __init__(self) -> None:
        super().__init__()
        world = self.world
        world.reset()
        self.reference = self.make_reference()
        self.writers = [world.take() for _ in range(WRITERS)]
        self.operator = world.take()
        self.keeper = world.take()
        self.hosts = [Host(world.take(), self.reference) for _ in range(HOSTS)]
        #: All that ever lived.
        self.ids = [host.id for host in self.hosts]
        #: Connections that their supervisor has given up, and the server has not.
        self.zombies: list[Session] = []
        self.made = 0

    def make_reference(self) -> Reference:
        return Reference()

    # after each step ----------------------------------------------------------------------------

    def commit(self, session: Session) -> list[object]:
        """End a transaction well; returns what it has changed."""
        alone = session.alone
        effects = session.commit()
        self.check(effects, alone=alone)
        return effects

    def roll_back(self, session: Session) -> None:
        session.roll_back()
        self.check()

    def check(self, effects: list[object] | None = None, *, alone: bool = False) -> None:
        """`alone`: no other transaction was open beside the one that has had these effects."""
        found = self.world.look()
        lines = self.reference.lines()
        self.reference.apply(effects or [], found)
        if alone:
            self.reference.judge.check_order(lines)
        self.reference.check(found, quiet=not self.world.busy())
        self.world.watch()
        for host in self.hosts:
            if host.session.refused:
                host.lose(host.session)

    # anybody ------------------------------------------------------------------------------------

    @rule(which=which, commit=often, heard=often)
    def end(self, which: int, commit: bool, heard: bool) -> None:
        """One of the open transactions ends; the reply to a supervisor's COMMIT may get lost."""
        busy = self.world.busy()
        if not busy:
            return
        session = busy[which % len(busy)]
        mind = next((mind for mind in self.hosts if mind.session is session), None)
        if not session.waiting and (commit or mind):
            effects = self.commit(session)
            if mind:
                mind.heard(effects) if heard else mind.lose(session)
        elif not mind:
            self.roll_back(session)
        if session in self.zombies and not session.open:
            self.zombies.remove(session)
            self.world.free.append(session)

    # writers ------------------------------------------------------------------------------------

    @rule(
        writer=writer,
        way=st.sampled_from(["one", "one later", "few", "COPY", "undone"]),
        queue=st.sampled_from(QUEUES),
        priority=st.integers(-1, 1),
        retries=st.integers(0, 1),
        isolation=st.sampled_from(["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]),
        commit=often,
    )
    def enqueue(
        self, writer: int, way: str, queue: str, priority: int, retries: int, isolation: str,
        commit: bool,
    ) -> None:  # fmt: skip
        session = self.writers[writer]
        if session.waiting or self.made >= MOST_JOBS:
            return
        if not session.open:
            session.begin(isolation)
        self.made += 2 if way in ("few", "COPY") else 1
        self._send_jobs(session, Request(queue, priority, retries, way == "one later"), way)
        self._go_on(session, commit=commit)

    def _send_jobs(self, session: Session, request: Request, way: str) -> None:
        """Such as have no parents."""
        effects, kind = session.effects, IN_LINE if request.key else "ready"
        state = "waiting" if request.later else kind

        def enqueued(rows: Rows) -> None:
            effects.extend(Enqueued(row[0], request, state) for row in rows)

        if way == "undone":
            session.send(in_savepoint(request))
        else:
            session.send(insert(request, way), enqueued)

    def _go_on(self, session: Session, *, commit: bool) -> None:
        if commit and session.open and not session.waiting:
            self.commit(session)
        else:
            self.check()

    def _close(self, *sessions: Session) -> None:
        """What these have begun ends first."""
        for session in sessions:
            if session.waiting:
                self.roll_back(session)
            elif session.open:
                self.commit(session)

    # operators ----------------------------------------------------------------------------------

    @rule(job=which, commit=st.booleans())
    def cancel(self, job: int, commit: bool) -> None:
        """Those that are held are asked for; whatever becomes of these, none is pulled again."""
        self._cancel(
            self._pick(job, ("ready", "waiting", "blocked", IN_LINE, "claim")), commit=commit
        )

    def _cancel(self, jobs: list[int], *, commit: bool) -> None:
        def told(rows: Rows) -> None:
            # As long as the transaction is open it holds the row that it has moved.
            for which, state in rows:
                if state == "cancelling":
                    self.operator.effects.append(Asked(which))
                elif state == "cancelled" and self.reference.kind(which) not in ENDED:
                    self.operator.effects.append(Cancelled(which))

        if jobs:
            self._operate(query("jobs_cancel", {"jobs": jobs, "kill": False}), told, commit)

    @rule(job=which, commit=st.booleans())
    def retry(self, job: int, commit: bool) -> None:
        self.run_again(self._pick(job, UNWELL), commit=commit)

    def run_again(self, jobs: list[int], *, commit: bool) -> None:
        def told(rows: Rows) -> None:
            again = {job for job, *_ in rows if self.reference.kind(job) in UNWELL}
            for job, state, edges in rows:
                if job in again and state in ("ready", "waiting", "blocked"):
                    asked = self.reference.requests[job].parents
                    open_ = {p for p in asked if p in again or self.is_open(p)}
                    assert open_ == set(edges), f"job {job} waits for {edges}, not {open_}"
                    waits = {parent: asked[parent] for parent in edges}
                    self.operator.effects.append(Retried(job, state, waits))

        if jobs:
            self._operate(and_standing(query("jobs_retry", {"jobs": jobs})), told, commit)

    def is_open(self, job: int) -> bool:
        """Is it there, by what is committed, and has not ended?"""
        return self.reference.kind(job) not in (None, *ENDED)

    def _pick(self, which: int, kinds: tuple[str, ...]) -> list[int]:
        """A job that stands so; if there is none, any."""
        jobs = [j for j in self.reference.places if self.reference.kind(j) in kinds]
        jobs = jobs or list(self.reference.places)
        return [jobs[which % len(jobs)]] if jobs else []

    def _operate(self, work: Work, told: Callable[[Rows], None], commit: bool) -> None:
        if not self.operator.open:
            self.operator.begin()
            self.operator.send(work, told)
            self._go_on(self.operator, commit=commit)
