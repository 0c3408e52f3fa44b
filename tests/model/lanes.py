"""The protocol's machine, with the keeper of the lanes."""

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from machine import Machine
from people import which
from sessions import query


class Swept(Machine):
    #: What has lanes that are swept.
    tables: ClassVar = ("ready",)

    @rule()
    def next_lane(self) -> None:
        self.world.one("SELECT nextval('wsup.lane_turn')")

    @rule(
        table=which, which=which, most=st.sampled_from([1, 100, 100]), wraps=st.booleans(),
        ends=which,
    )  # fmt: skip
    def sweep(self, table: int, which: int, most: int, wraps: bool, ends: int) -> None:
        """If it must wait: meanwhile all lanes may have their turn, and one of those ends that it
        waits for."""
        name = self.tables[table % len(self.tables)]
        lanes = self.world.lanes_in_use(name) or [0]
        lane = lanes[which % len(lanes)]
        if lane == self.world.one("SELECT wsup.current_lane()"):
            self.next_lane()
        if self.keeper.send(query("sweep", [lane, most, name])):
            self.check()
            return
        while wraps and lane != self.world.one("SELECT wsup.current_lane()"):
            self.next_lane()
        busy = [session for session in self.world.busy() if not session.waiting]
        session = busy[ends % len(busy)]
        effects = session.commit()
        self.keeper.watch()
        self.keeper.roll_back()  # it has waited long enough
        self.check(effects)
        for mind in self.hosts:
            if mind.session is session:
                mind.heard(effects)


class Lanes(Swept):
    @initialize(jobs=st.integers(2, 4), taken=st.lists(st.integers(1, 3), max_size=2))
    def begin(self, jobs: int, taken: list[int]) -> None:
        self.start(jobs)
        self.take(taken)
