"""The protocol's machine, with limits of a queue, and of the task of all jobs: how many run at
once, over all hosts and on each, and how many start in a day."""

from effects import Limit, Limited
from followed import Limits as Reference
from hosts import Host
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from machine import Machine, host
from people import often, which
from reference import QUEUES
from relations import READ_COMMITTED, mostly_well
from sessions import query
from turnstiles import GATES, QUEUE, TASK

from wsup.sql.statements import statement

gates = st.sampled_from([QUEUE, TASK, TASK])
some = st.sampled_from([None, 1, 1, 2, 3])
bursts = st.integers(1, 2)
#: More than any host ever holds.
ANY = 1_000_000


class Limits(Machine):
    ROUNDS = 3
    reference: Reference

    def make_reference(self) -> Reference:
        return Reference()

    def __init__(self) -> None:
        super().__init__()
        #: How many of the task each host may have taken.
        self._most = [ANY] * len(self.hosts)

    @initialize(
        most=some, rate=st.booleans(), jobs=st.integers(2, 5), late=st.booleans(),
        taken=st.lists(st.integers(1, 2), max_size=3),
    )  # fmt: skip
    def begin(self, most: int | None, rate: bool, jobs: int, late: bool, taken: list[int]) -> None:
        """Mostly there is a limit before there are jobs."""
        if late:
            self.start(jobs)
        self.limit(TASK, most, 1 if rate else None, 1, None, commit=True)
        if not late:
            self.start(jobs)
        self.take(taken)

    def check(self, effects: list[object] | None = None, *, alone: bool = False) -> None:
        self.reference.gates.alone = alone
        super().check(effects, alone=alone)
        self._check_hosts()

    def _check_hosts(self) -> None:
        gates = self.reference.gates
        limit = gates.buckets[TASK].limit.per_host or ANY
        for number, mind in enumerate(self.hosts):
            held = [job for _, job in mind.held if job not in gates.loose]
            most = max(limit, self._most[number])
            assert len(held) <= most, f"host {mind.id} has {len(held)} jobs, per_host {limit}"
            if not self.world.busy():
                self._most[number] = max(limit, len(held))

    # the clock ----------------------------------------------------------------------------------

    @rule()
    def day(self) -> None:
        self.world.one("SELECT nextval('wsup.model_day')")
        self.reference.gates.day_passes()
        self.check()

    @rule()
    def wait(self) -> None:
        super().wait()
        self.day()

    @rule(host=host, n=st.integers(1, 5))
    def promote(self, host: int, n: int) -> None:
        if mind := self._able(host, "promote"):
            mind.promote(n)
            self.check()

    # limits -------------------------------------------------------------------------------------

    @rule(
        gate=gates, most=some, rate=st.sampled_from([None, None, 1, 2]), burst=bursts,
        per_host=st.sampled_from([None, None, 1, 2]), commit=often,
    )  # fmt: skip
    def limit(
        self, gate: str, most: int | None, rate: int | None, burst: int, per_host: int | None,
        commit: bool,
    ) -> None:  # fmt: skip
        """Whatever it was before; none, if nothing is given."""
        if gate == QUEUE or (most and per_host and per_host > most):
            per_host = None
        said = f"{rate}/day" if rate else None
        limit = Limit(most, rate, burst if rate else None, per_host)
        effect = Limited(gate, limit)
        self._operate(
            query("limit_set", [*GATES[gate], most, per_host, said, limit.burst, True]),
            lambda _rows: self.operator.effects.append(effect),
            commit,
        )

    def _able(self, host: int, step: str) -> Host | None:
        mind = super()._able(host, step)
        if mind is not None and step == "pull":
            self._heed(mind)
        return mind

    def _run_all(self, host: Host) -> None:
        self._heed(host)
        super()._run_all(host)

    def _heed(self, host: Host) -> None:
        """It has heard of the limits."""
        found = self.world.observer.execute(statement("limits_per_host")).fetchall()
        host.per_host.heed({row[0]: row[1] for row in found})

    @rule(host=host, which=which, how=mostly_well, gate=gates, late=often, cancel=st.booleans())
    def in_hand(self, host: int, which: int, how: str, gate: str, late: bool, cancel: bool) -> None:
        """A host has a gate in hand. Meanwhile somebody joins the line, and jobs of another host
        end, or an operator cancels who waits or has a turn."""
        self._close(self.operator, self.writers[0])
        bucket = self.reference.gates.buckets[gate].limit
        self.limit(gate, (bucket.max_running or 1) + 1, None, 1, None, commit=True)  # marks it
        minds = self._idle()
        if len(minds) < 2:
            return
        minds.sort(key=lambda mind: len(mind.held))
        self.pull(self.hosts.index(minds[0]), 1, QUEUES, heard=False)
        if late:
            self.enqueue(0, "one", QUEUES[0], which % 3 - 1, 0, READ_COMMITTED, commit=True)
        if cancel:
            self.cancel(which, commit=True)
        else:
            self.settle(self.hosts.index(minds[-1]), which, 3, how, send=True)
        self._turn_goes_on(minds[-1], commit=True)
        self._turn_goes_on(minds[0], commit=True)

    def _idle(self) -> list[Host]:
        return [mind for mind in self.hosts if mind.can("pull") and not mind.session.open]

    @rule(how=mostly_well)
    def set_again(self, how: str) -> None:
        """A limit is lifted, and set again, while a host has the gate in hand; in between, another
        host takes a job that has a turn."""
        self._close(self.operator, self.writers[0])
        self.enqueue(0, "few", QUEUES[1], 0, 0, READ_COMMITTED, commit=True)
        self.limit(TASK, 3, None, 1, None, commit=True)
        minds = self._idle()
        if len(minds) < 2:
            return
        # Who takes it has no other, with which it could end.
        minds.sort(key=lambda mind: -len(mind.held))
        first, second = self.hosts.index(minds[0]), self.hosts.index(minds[-1])
        self.pull(first, 1, QUEUES, heard=True)
        self.limit(TASK, 3, None, 1, None, commit=True)  # marks it
        self.pull(first, 1, QUEUES, heard=False)
        self.limit(TASK, None, None, 1, None, commit=True)
        self.pull(second, 2, QUEUES, heard=True)
        self.limit(TASK, 3, None, 1, None, commit=True)
        self._turn_goes_on(minds[0], commit=True)
        self.settle(second, 0, 3, how, send=True)
        self._turn_goes_on(minds[-1], commit=True)
