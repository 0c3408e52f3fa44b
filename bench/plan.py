"""How much is measured: the sizes of a run."""

from __future__ import annotations

import msgspec

#: The sizes that the bars are meant for.
ROUNDS = 3
JOBS = 150_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of one run of the harness."""

    #: Times that every system is measured, one after the other.
    rounds: int = ROUNDS
    #: Times in a round that the loop and the floor are measured in turn: both take but seconds,
    #: and the machine's own speed changes by a third from one to the next.
    pairs: int = 5
    #: Times in a round that the large backlog is drained, a small one before it and one after.
    drains: int = 3
    #: Jobs in a floor run, a loop run, and the large backlog.
    jobs: int = JOBS
    #: Jobs in the small backlog.
    few_jobs: int = 20_000
    #: Single enqueues on an idle system, a round.
    latencies: int = 200
    #: The deep table of the pull, and the shallow one that it is compared with.
    deep_ready: int = 1_000_000
    deep_waiting: int = 100_000
    shallow_ready: int = 1_000
    #: Timed pulls from each of the two.
    pulls: int = 40

    @property
    def is_full(self) -> bool:
        """Is this the run that the bars are meant for, or more?"""
        return self.jobs >= JOBS and self.rounds >= ROUNDS and self.deep_ready >= 1_000_000


def planned(*, rounds: int | None, jobs: int | None, quick: bool) -> Plan:
    """The plan that the command line asks for."""
    plan = Plan()
    if quick:
        plan = Plan(
            rounds=1, pairs=1, drains=1, jobs=20_000, few_jobs=5_000, latencies=50,
            deep_ready=100_000, deep_waiting=10_000, pulls=30,
        )  # fmt: skip
    if jobs is not None:
        plan = msgspec.structs.replace(plan, jobs=jobs, few_jobs=min(plan.few_jobs, jobs))
    return msgspec.structs.replace(plan, rounds=rounds or plan.rounds)
