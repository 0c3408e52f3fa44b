"""The faults of servers, of the network, and of tokens."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

from . import faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from .farm import Farm
    from .faults import Injector
    from .plan import Plan
    from .served import Served

#: Seconds before a killed server is started again.
SERVER_AFTER = (0.0, 0.5, 3.0)
#: Seconds for which all servers are away: the first time, and later from, to.
ALL_AWAY, ALL_AWAY_LATER = 30.0, (2.0, 10.0)
#: The part of packets that are lost, and seconds that each takes: for so many seconds, during which
#: the other faults go on.
LOST, DELAY, BAD = 0.2, 0.2, (5.0, 15.0)
#: Seconds for which an agent has no good token.
UNTOKENED = (0.5, 4.0)
#: Times the lease: after that, others have had the jobs of who is cut off.
BEYOND_LEASE = 1.5
#: Seconds in which all agents must have been heard of again.
HEARD = 45.0
LOOK_AGAIN = 0.1


class Outages:
    """What is added to the deeds of an injector."""

    def __init__(self, farm: Farm, plan: Plan, injector: Injector) -> None:
        self._farm = farm
        self._plan = plan
        self._injector = injector
        self._chance = injector.chance
        self._bad: threading.Thread | None = None
        self._all_away = ALL_AWAY
        #: Seconds until all agents had been heard of again, after each fault.
        self.silences: list[float] = []

    @property
    def deeds(self) -> dict[str, Callable[[str], None]]:
        deeds: dict[str, Callable[[str], None]] = {
            faults.SERVER: self._kill_server,
            faults.SERVER_STOP: self._stop_server,
            faults.SERVER_PAUSE: self._pause_server,
            faults.SERVERS: self._kill_servers,
            faults.TOKEN: self._revoke,
        }
        if self._farm.network:
            deeds |= {
                faults.AGENT_CUT: self._cut_agent,
                faults.AGENT_GONE: self._cut_agent,
                faults.SERVER_CUT: self._cut_server,
                faults.LOSS: self._make_bad,
                faults.LATE: self._make_bad,
            }
        return deeds

    def join(self) -> None:
        """Wait for what goes on beside the other faults."""
        if self._bad is not None:
            self._bad.join()

    def await_agents(self) -> bool:
        """Until each has been heard of; False if that takes too long."""
        began = time.monotonic()
        since = self._farm.time()
        while not self._farm.are_heard(since):
            if time.monotonic() - began > HEARD:
                return False
            time.sleep(LOOK_AGAIN)
        self.silences.append(time.monotonic() - began)
        return True

    # servers ------------------------------------------------------------------------------------

    def _server(self) -> Served:
        return self._chance.choice(self._farm.servers)

    def _kill_server(self, kind: str) -> None:
        served, pause = self._server(), self._chance.choice(SERVER_AFTER)
        with self._injector.noted(kind, detail=f"server {served.number}, again after {pause:g} s"):
            served.kill()
            self._injector.wait(pause)
            served.launch()
            served.await_ready()

    def _stop_server(self, kind: str) -> None:
        served = self._server()
        with self._injector.noted(kind, detail=f"server {served.number}"):
            served.stop()
            served.launch()
            served.await_ready()

    def _pause_server(self, kind: str) -> None:
        served, seconds = self._server(), self._chance.uniform(0.3, self._plan.lease / 2)
        with self._injector.noted(kind, detail=f"server {served.number}, {seconds:.1f} s"):
            served.send(signal.SIGSTOP)
            self._injector.wait(seconds)
            served.send(signal.SIGCONT)

    def _kill_servers(self, kind: str) -> None:
        seconds, self._all_away = self._all_away, self._chance.uniform(*ALL_AWAY_LATER)
        with self._injector.noted(kind, detail=f"for {seconds:.1f} s"):
            for served in self._farm.servers:
                served.kill()
            self._injector.wait(seconds)
            for served in self._farm.servers:
                served.launch()
            for served in self._farm.servers:
                served.await_ready()

    # the network --------------------------------------------------------------------------------

    def _cut_agent(self, kind: str) -> None:
        lease = self._plan.lease
        seconds = BEYOND_LEASE * lease
        if kind == faults.AGENT_CUT:
            seconds = self._chance.uniform(0.3, lease / 2)
        host = self._chance.choice(self._farm.hosts)
        network, machine = self._farm.network, self._farm.machine_of(host.number)
        assert network is not None
        assert machine is not None
        with self._injector.noted(kind, host.number, host.pid, f"{seconds:.1f} s"):
            network.cut(machine)
            self._injector.wait(seconds)
            network.join(machine)

    def _cut_server(self, kind: str) -> None:
        served, seconds = self._server(), self._chance.uniform(0.3, self._plan.lease)
        network = self._farm.network
        assert network is not None
        machine = network.machines[served.number]
        with self._injector.noted(kind, detail=f"server {served.number}, {seconds:.1f} s"):
            network.cut(machine)
            self._injector.wait(seconds)
            network.join(machine)

    def _make_bad(self, kind: str) -> None:
        if self._bad is None or not self._bad.is_alive():
            seconds = self._chance.uniform(*BAD)
            self._bad = threading.Thread(target=self._be_bad, args=(kind, seconds), daemon=True)
            self._bad.start()

    def _be_bad(self, kind: str, seconds: float) -> None:
        network = self._farm.network
        assert network is not None
        with self._injector.noted(kind, detail=f"{seconds:.1f} s"):
            network.be(loss=LOST) if kind == faults.LOSS else network.be(delay=DELAY)
            self._injector.wait(seconds)
            network.be(loss=0.0, delay=0.0)

    # tokens -------------------------------------------------------------------------------------

    def _revoke(self, kind: str) -> None:
        host, seconds = self._chance.choice(self._farm.hosts), self._chance.uniform(*UNTOKENED)
        with self._injector.noted(kind, host.number, host.pid, f"{seconds:.1f} s"):
            self._farm.revoke(host.number)
            self._injector.wait(seconds)
            self._farm.issue(host.number)
