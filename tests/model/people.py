"""Those who ask for jobs, cancel them and have them run again; and the check after each step."""

from hosts import Host
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from reference import QUEUES, Asked, Enqueued, Moved, Reference, Request
from sessions import Rows, Session, query
from world import HOSTS, WRITERS, World
from writing import in_savepoint, insert

writer = st.integers(0, WRITERS - 1)
which = st.integers(0, 5)
often = st.sampled_from([True, True, True, False])
#: Jobs that a run makes at most: few, so that many steps meet the same ones.
MOST_JOBS = 8


class People(RuleBasedStateMachine):
    #: Given by a subclass.
    world: World

    def __init__(self) -> None:
        super().__init__()
        world = self.world
        world.reset()
        self.reference = Reference()
        self.writers = [world.take() for _ in range(WRITERS)]
        self.operator = world.take()
        self.keeper = world.take()
        self.hosts = [Host(world.take(), self.reference) for _ in range(HOSTS)]
        #: All that ever lived.
        self.ids = [host.id for host in self.hosts]
        #: Connections that their supervisor has given up, and the server has not.
        self.zombies: list[Session] = []
        self.made = 0

    # after each step ----------------------------------------------------------------------------

    def commit(self, session: Session) -> list[object]:
        """End a transaction well; returns what it has changed."""
        effects = session.commit()
        self.check(effects)
        return effects

    def roll_back(self, session: Session) -> None:
        session.roll_back()
        self.check()

    def check(self, effects: list[object] | None = None) -> None:
        found = self.world.look()
        self.reference.apply(effects or [], found)
        self.reference.check(found)
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
        request, effects = Request(queue, priority, retries), session.effects

        def enqueued(rows: Rows) -> None:
            effects.extend(Enqueued(row[0], request, way == "one later") for row in rows)

        if way == "undone":
            session.send(in_savepoint(request))
        else:
            session.send(insert(request, way), enqueued)
        self._go_on(session, commit=commit)

    def _go_on(self, session: Session, *, commit: bool) -> None:
        if commit and session.open and not session.waiting:
            self.commit(session)
        else:
            self.check()

    # operators ----------------------------------------------------------------------------------

    @rule(job=which, commit=st.booleans())
    def cancel(self, job: int, commit: bool) -> None:
        """Those that are held are asked for; whatever becomes of these, none is pulled again."""
        kinds = ("ready", "waiting", "claim")
        self._operate("jobs_cancel", job, kinds, "cancelled", commit=commit)

    @rule(job=which, commit=st.booleans())
    def retry(self, job: int, commit: bool) -> None:
        self._operate("jobs_retry", job, ("failed", "cancelled"), "ready", commit=commit)

    def _operate(
        self, name: str, which: int, kinds: tuple[str, ...], to: str, *, commit: bool
    ) -> None:
        session = self.operator
        jobs = [j for j in self.reference.places if self.reference.kind(j) in kinds]
        jobs = jobs or list(self.reference.places)
        if session.open or not jobs:
            return
        session.begin()
        job, effects = jobs[which % len(jobs)], session.effects

        def told(rows: Rows) -> None:
            # As long as the transaction is open it holds the row that it has moved.
            if rows[0][1] == "cancelling":
                effects.append(Asked(job))
            elif rows[0][1] == to and self.reference.kind(job) in kinds:
                effects.append(Moved(job, to))

        session.send(query(name, {"jobs": [job], "kill": False}), told)
        self._go_on(session, commit=commit)
