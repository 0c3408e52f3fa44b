"""The protocol's machine, with jobs of tenants in queues that become fair, or age, and stop it."""

from effects import Ordered, Request
from followed import Fair as Reference
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from machine import Machine, host
from people import MOST_JOBS, often, which, writer
from reference import QUEUES
from relations import MORE_JOBS, READ_COMMITTED, isolation, mostly_well
from sessions import Rows, query

#: Most jobs are of these.
tenants = st.sampled_from(["x", "x", "x", "y", "z", None, None])
queue = st.sampled_from(["a", "a", "b"])
priorities = st.sampled_from([0, 0, 0, 1])
DAY = 86_400


class Fair(Machine):
    ROUNDS = 2
    reference: Reference

    def make_reference(self) -> Reference:
        return Reference()

    @initialize(
        fair=often, ageing=st.booleans(), backlog=st.integers(2, 4),
        others=st.lists(tenants, max_size=3), taken=st.lists(st.integers(1, 2), max_size=2),
    )  # fmt: skip
    def begin(
        self, fair: bool, ageing: bool, backlog: int, others: list[str | None], taken: list[int]
    ) -> None:
        """One tenant has a backlog."""
        self.set_order("a", fair, ageing, commit=True)
        for tenant in ["x"] * backlog + others:
            self.enqueue(0, "one", "a", tenant, 0, 0, READ_COMMITTED, commit=True)
        self.take(taken)

    def check(self, effects: list[object] | None = None, *, alone: bool = False) -> None:
        self.reference.shares.alone = alone
        super().check(effects, alone=alone)

    @rule(
        writer=writer, way=st.sampled_from(["one", "few", "COPY", "undone"]), queue=queue,
        tenant=tenants, priority=priorities, retries=st.integers(0, 1), isolation=isolation,
        commit=often,
    )  # fmt: skip
    def enqueue(
        self, writer: int, way: str, queue: str, tenant: str | None, priority: int, retries: int,
        isolation: str, commit: bool,
    ) -> None:  # fmt: skip
        session = self.writers[writer]
        if session.waiting or self.made >= MOST_JOBS + MORE_JOBS:
            return
        if not session.open:
            session.begin(isolation)
        self.made += 2 if way in ("few", "COPY") else 1
        self._send_jobs(session, Request(queue, priority, retries, key=tenant), way)
        self._go_on(session, commit=commit)

    @rule(queue=queue, fair=often, ageing=st.booleans(), commit=often)
    def set_order(self, queue: str, fair: bool, ageing: bool, commit: bool) -> None:
        def told(rows: Rows) -> None:
            if rows[0][0]:  # it is another one now
                self.operator.effects.append(Ordered(queue, fair, ageing))

        self._operate(query("queue_set", [queue, fair, DAY if ageing else 0]), told, commit)

    @rule()
    def day(self) -> None:
        self._close(*self.writers)  # so that each job was enqueued on the day of its commit
        self.world.one("SELECT nextval('wsup.model_day')")
        self.reference.shares.day += 1
        self.check()

    @rule(host=host, n=st.integers(1, 3))
    def pull_alone(self, host: int, n: int) -> None:
        """Nothing else is about: so turns can be told."""
        self._close(self.operator, *self.writers)
        for mind in self.hosts:
            self._turn_goes_on(mind, commit=True)
        self.pull(host, n, QUEUES, heard=True)

    @rule(host=host, pulls=st.integers(2, 4))
    def newcomer(self, host: int, pulls: int) -> None:
        """One tenant has a backlog, another one a job, and few are taken at a time."""
        if self.made >= MOST_JOBS + MORE_JOBS:
            return
        self._close(self.operator, *self.writers)
        self.enqueue(0, "few", "a", "x", 0, 0, READ_COMMITTED, commit=True)
        self.enqueue(0, "one", "a", "y", 0, 0, READ_COMMITTED, commit=True)
        for _ in range(pulls):
            self.pull_alone(host, 1)

    @rule(host=host, back=st.booleans())
    def grow_old(self, host: int, back: bool) -> None:
        """A job stood there before the queue aged, or comes back when it is old. A more urgent one
        has come since."""
        if self.made >= MOST_JOBS + MORE_JOBS:
            return
        self._close(self.operator, *self.writers)
        self.set_order("a", True, back, commit=True)
        self.enqueue(0, "one", "a", None, 0, 0, READ_COMMITTED, commit=True)
        if back:
            self.pull_alone(host, 10)
            self.day()
            self.day()
        else:
            self.set_order("a", True, True, commit=True)
        self.enqueue(0, "one", "a", None, 1, 0, READ_COMMITTED, commit=True)
        if back:
            self.settle(host, 0, 10, "is given back", send=True)
        self.pull_alone(host, 5)

    @rule(host=host, which=which, how=mostly_well, tenant=tenants, cancel=st.booleans())
    def in_hand(self, host: int, which: int, how: str, tenant: str | None, cancel: bool) -> None:
        """While a host is just taking jobs, a tenant joins the line, or somebody is cancelled, and
        another host pulls, too."""
        self._close(self.operator, self.writers[0])
        minds = [mind for mind in self.hosts if mind.can("settle") and not mind.session.open]
        if len(minds) < 2:
            return
        self.pull(self.hosts.index(minds[0]), 1, QUEUES, heard=False)
        if cancel:
            self.cancel(which, commit=True)
        else:
            self.enqueue(0, "one", "a", tenant, 0, 0, READ_COMMITTED, commit=True)
        self.settle(self.hosts.index(minds[1]), which, 3, how, send=True)
        self.pull(self.hosts.index(minds[1]), 2, QUEUES, heard=True)
        self._turn_goes_on(minds[0], commit=True)
