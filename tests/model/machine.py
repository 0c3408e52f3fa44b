"""The protocol as a state machine: supervisors, writers and an operator, their transactions open at
once and interleaved statement by statement. What is added to it is in `lanes` and in `relations`.

After each step the committed data, read in one snapshot, must be what the reference says. Rules
take numbers from fixed ranges and do nothing where they don't apply, so that the same numbers
always mean the same steps.
"""

import sys

from effects import Pulled
from hosts import ENDINGS, Host
from hypothesis import strategies as st
from hypothesis.stateful import rule
from parents import ENDED
from people import People, often, which
from reference import QUEUES
from world import HOSTS, ZOMBIES

host = st.integers(0, HOSTS - 1)
endings = st.sampled_from(ENDINGS)
queues = st.sampled_from([QUEUES, QUEUES, ["a"]])


class Machine(People):
    #: At the end, so often each job may have to be waited for.
    ROUNDS = 1

    def start(self, jobs: int) -> None:
        """Most runs begin with jobs."""
        for job in range(jobs):
            self.enqueue(0, "one", QUEUES[job % 2], 0, job % 2, "READ COMMITTED", commit=True)

    def take(self, taken: list[int]) -> None:
        """And with some of them pulled."""
        for host, n in enumerate(taken):
            self.pull(host, n, QUEUES, heard=True)

    # supervisors --------------------------------------------------------------------------------

    def _able(self, host: int, step: str) -> Host | None:
        """That host, or the next one, that can take this step now."""
        for mind in self.hosts[host:] + self.hosts[:host]:
            if mind.lost:
                mind.compare()
            if mind.can(step):
                return mind
        return None

    @rule(host=host, which=which, count=st.integers(1, 3), how=endings, send=often)
    def settle(self, host: int, which: int, count: int, how: str, send: bool) -> None:
        """Some jobs end; with what has ended before, they may be settled."""
        mind = self._able(host, "settle")
        if mind is None:
            return
        mind.finish(which, count, how)
        if send:
            mind.settle()
            self.check()

    @rule(host=host, n=st.integers(1, 5))
    def promote(self, host: int, n: int) -> None:
        if self.reference.due and (mind := self._able(host, "promote")):
            mind.promote(n)
            self.check()

    @rule(host=host, n=st.integers(1, 4), queues=queues, heard=often)
    def pull(self, host: int, n: int, queues: list[str], heard: bool) -> None:
        """With what the turn has done so far; mostly it is committed at once."""
        mind = self._able(host, "pull")
        if mind is None:
            return
        session = mind.session
        alone = not self.world.busy() and not self.reference.is_parent_dropped()
        mind.pull(queues, n)
        if alone:
            pulled = [e for e in session.effects if isinstance(e, Pulled)]
            self.reference.check_pulled([row[1] for e in pulled for row in e.rows], queues, n)
        if heard and session.open and not session.waiting:
            mind.heard(self.commit(session))
        else:
            self.check()

    def _turn_goes_on(self, mind: Host, *, commit: bool) -> None:
        """It ends well, or is left open."""
        if commit and mind.session.open and not mind.session.waiting:
            mind.heard(self.commit(mind.session))
        else:
            self.check()

    @rule(host=host, dies=st.booleans())
    def break_off(self, host: int, dies: bool) -> None:
        """A connection breaks, or a supervisor dies; its transaction stays open for a while."""
        mind = self.hosts[host]
        if mind.session.open:
            if len(self.zombies) == ZOMBIES:
                self.zombies[0].roll_back()
                self.world.free.append(self.zombies.pop(0))
                self.check()
            self.zombies.append(mind.session)
            mind.lose(self.world.take())
        else:
            mind.lose(mind.session)
        if dies:
            self._give_birth(mind)

    def _give_birth(self, host: Host) -> None:
        host.be_born()
        self.ids.append(host.id)

    @rule(host=host)
    def compare(self, host: int) -> None:
        self.hosts[host].compare()

    @rule(host=host)
    def beat(self, host: int) -> None:
        if not self.hosts[host].beat():
            self._give_birth(self.hosts[host])

    @rule(host=host)
    def hear(self, host: int) -> None:
        self.check(self.hosts[host].hear())

    @rule(host=host, which=which, commit=st.booleans())
    def rescue(self, host: int, which: int, commit: bool) -> None:
        """Somebody is taken for dead: rightly or not, and perhaps not for the first time."""
        mind = self._able(host, "rescue")
        others = [dead for dead in self.ids if mind is not None and dead != mind.id]
        holding = [dead for dead in others if self.reference.claims(dead)] or others
        # The first of all those whose results are being committed at this moment.
        settling = [dead for dead in holding if self.world.is_settling(dead)]
        if mind is not None and holding:
            dead = [*settling, *holding][which % len(holding)]
            mind.rescue(dead, locked=self.world.may_be_locked(dead))
            self._go_on(mind.session, commit=commit)

    # time -----------------------------------------------------------------------------------------

    @rule()
    def wait(self) -> None:
        """What waits falls due."""
        self.reference.due.update(self.world.let_time_pass())

    # the end ------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Whatever has happened: every job that was committed can be brought to its end."""
        if sys.exc_info()[0] is not None:
            return  # something has been found already
        for session in self.world.busy():
            session.roll_back()
        self.check()
        self._look_once()
        for mind in self.hosts:
            mind.compare()
            mind.finish(0, 100, "succeeds")
            self._whole_turn(mind)
        for dead in set(self.ids) - {mind.id for mind in self.hosts}:
            self.hosts[0].rescue(dead, locked=False)
            self.commit(self.hosts[0].session)
        # At most so many generations, and turns.
        for _ in range(self.ROUNDS * len(self.reference.requests) + 1):
            self._run_all(self.hosts[0])
            left = {j: p for j, p in self.reference.places.items() if p[0] not in ENDED}
            if not left:
                return
        raise AssertionError(f"these jobs never end: {left}")

    def _look_once(self) -> None:
        """No transaction is open any more: one look finds every child that is held up in vain."""
        if not self.reference.parents.waiting():
            return
        self.hosts[0].compare()
        self.hosts[0].promote(100)
        self.commit(self.hosts[0].session)
        left = self.reference.parents.left_behind(self.reference.kind)
        assert not left, f"a look has left jobs {set(left)} behind"

    def _run_all(self, host: Host) -> None:
        """All that can run now, and all that waits for the clock."""
        self.wait()
        host.promote(100)
        host.pull(QUEUES, 100)
        host.heard(self.commit(host.session))
        host.finish(0, 100, "succeeds")
        self._whole_turn(host)

    def _whole_turn(self, host: Host) -> None:
        host.settle()
        if host.session.open:
            host.heard(self.commit(host.session))
