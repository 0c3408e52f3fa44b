"""What is to be run, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import BenchError
from . import scale
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .install import Installed
    from .system import System


#: Of a system that names no number of its own.
NOOPS = WORKLOADS["noop"].jobs


class Plan(NamedTuple):
    """The choice that the command line makes."""

    workloads: list[str]
    #: Times that each system is measured; None: as often as its system.toml says.
    rounds: int | None = None
    #: How many jobs, of as many as there would be: 0.1 is a look whether it all works.
    scale: float = 1.0

    def jobs(self, system: System, workload: str) -> int:
        """The warm-up, which is in the number for latencies, stays.

        A system with fewer no-ops has fewer jobs in the long workloads, too.
        """
        usual = WORKLOADS[workload]
        if workload in scale.PAUSES:
            single = "subworkers" not in system.settings_for(workload).options
            return scale.all_jobs(workload, self.scale, single=single)
        jobs = system.jobs.get(workload, usual.jobs)
        if usual.long and workload not in system.jobs:
            jobs = round(jobs * system.jobs.get("noop", NOOPS) / NOOPS)
        return max(200, round(self.scale * jobs))

    def runs(self, systems: list[Installed]) -> Iterator[tuple[str, int, Installed]]:
        """Workload by workload, round by round, one system after the other: A B C A B C."""
        for workload in self.workloads:
            here = [one for one in systems if _takes_part(one.system, workload)]
            for number in range(1, 1 + max((self._rounds(one.system) for one in here), default=0)):
                for one in here:
                    if number <= self._rounds(one.system):
                        yield workload, number, one

    def _rounds(self, system: System) -> int:
        return self.rounds or system.rounds


def _takes_part(system: System, workload: str) -> bool:
    """The long ones measure yardsticks only where they ask for them."""
    chosen = WORKLOADS[workload]
    if chosen.systems:
        return system.name in chosen.systems
    return system.takes_part(workload) and not (chosen.long and system.yardstick)


def chosen(workloads: str | None, rounds: int | None, scale: float, *, long: bool = False) -> Plan:
    """Raises BenchError for a workload that there is not."""
    usual = [name for name, workload in WORKLOADS.items() if workload.long == long]
    names = workloads.split(",") if workloads else usual
    if unknown := set(names) - set(WORKLOADS):
        there = ", ".join(WORKLOADS)
        raise BenchError(f"no workload {', '.join(sorted(unknown))}: there are {there}")
    return Plan(names, rounds or (1 if long else None), scale)
