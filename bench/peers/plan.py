"""What is to be run, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import BenchError
from . import agents, scale
from .workloads import GROUPS, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .install import Installed
    from .system import System


#: The systems that take part in the long ones, where the command line names none.
LONG_SYSTEMS = ("wsup", "procrastinate", "pgqueuer", "single")
#: Of a system that names no number of its own.
NOOPS = WORKLOADS["noop"].jobs


class Plan(NamedTuple):
    """The choice that the command line makes."""

    workloads: list[str]
    #: Times that each system is measured; None: as often as its system.toml says.
    rounds: int | None = None
    #: How many jobs, of as many as there would be: 0.1 is a look whether it all works.
    scale: float = 1.0
    #: Has it named the systems?
    named: bool = False
    #: How many jobs stand in the way of others; None: as the workload says.
    beside: int | None = None

    def obstacles(self, workload: str) -> int:
        """How many; 0 where the workload has none."""
        usual = WORKLOADS[workload].beside
        given = round(self.scale * usual) if self.beside is None else self.beside
        return given if usual else 0

    def systems(self, systems: list[System]) -> list[System]:
        """Those of these that take part in anything."""
        names = self.workloads
        return [one for one in systems if any(self._takes_part(one, name) for name in names)]

    def jobs(self, system: System, workload: str) -> int:
        """The warm-up, which is in the number for latencies, stays.

        A system with fewer no-ops has fewer jobs in the long workloads, too.
        """
        usual = WORKLOADS[workload]
        single = "subworkers" not in system.settings_for(workload).options
        if workload in scale.PAUSES:
            return scale.all_jobs(workload, self.scale, single=single)
        if workload == agents.NAME:
            return agents.all_jobs(self.scale, single=single)
        jobs = system.jobs.get(workload, usual.jobs)
        if usual.long and workload not in system.jobs:
            jobs = round(jobs * system.jobs.get("noop", NOOPS) / NOOPS)
        return max(200, round(self.scale * jobs))

    def runs(self, systems: list[Installed]) -> Iterator[tuple[str, int, Installed]]:
        """Workload by workload, round by round, one system after the other: A B C A B C."""
        for workload in self.workloads:
            here = [one for one in systems if self._takes_part(one.system, workload)]
            most = max((self._rounds(one.system, workload) for one in here), default=0)
            for number in range(1, 1 + most):
                for one in here:
                    if number <= self._rounds(one.system, workload):
                        yield workload, number, one

    def _rounds(self, system: System, workload: str) -> int:
        return self.rounds or WORKLOADS[workload].rounds or system.rounds

    def _takes_part(self, system: System, workload: str) -> bool:
        """The long ones measure few systems, and yardsticks only where they ask for them."""
        chosen = WORKLOADS[workload]
        if chosen.systems:
            return system.name in chosen.systems or (self.named and workload in system.only)
        if chosen.long and (system.yardstick or not (self.named or system.name in LONG_SYSTEMS)):
            return False
        return system.takes_part(workload)


def chosen(
    workloads: str | None, rounds: int | None, scale: float, *, long: bool = False,
    named: bool = False, beside: int | None = None,
) -> Plan:  # fmt: skip
    """Of these names, which may be those of groups; else the long ones, or the others.

    Raises BenchError for a workload that there is not.
    """
    usual = [name for name, workload in WORKLOADS.items() if workload.long == long]
    given = workloads.split(",") if workloads else usual
    names = [each for name in given for each in GROUPS.get(name, (name,))]
    if unknown := set(names) - set(WORKLOADS):
        there = ", ".join([*WORKLOADS, *GROUPS])
        raise BenchError(f"no workload {', '.join(sorted(unknown))}: there are {there}")
    return Plan(list(dict.fromkeys(names)), rounds, scale, named, beside)
