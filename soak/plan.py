"""How long a soak runs, how much it enqueues, how often it hits."""

from __future__ import annotations

import msgspec

MINUTES = 10.0
#: With 10 minutes, a million.
JOBS_A_MINUTE = 100_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of one soak."""

    #: For how long jobs are enqueued and faults injected; draining comes on top.
    minutes: float = MINUTES
    #: Jobs that are committed.
    jobs: int = int(MINUTES * JOBS_A_MINUTE)
    #: Supervisors without a database, by way of two servers.
    http: bool = False
    #: These show a certificate, and agents trust no other.
    tls: bool = False
    hosts: int = 2
    #: On each host.
    subworkers: int = 8
    #: Seconds that a supervisor may be silent; the longest SIGSTOP is half of it.
    lease: float = 15.0
    #: No more is enqueued while so many jobs are ready.
    backlog: int = 40_000
    #: No-ops in one transaction.
    bulk: int = 2_000
    #: Other jobs a second, in transactions of up to ten.
    mixed: float = 40.0
    #: Jobs a second that wait for others, that share keys, that are unique, that are cancelled,
    #: that have limits, and that tenants have in a fair queue.
    children: float = 8.0
    keyed: float = 8.0
    unique: float = 8.0
    cancelled: float = 8.0
    limited: float = 10.0
    shared: float = 10.0
    #: Seconds between the end of a fault and the next one: from, to.
    pauses: tuple[float, float] = (0.3, 2.5)
    #: Seconds for which nothing may end, before jobs are given up as stuck.
    patience: float = 90.0
    #: Every choice follows from it; only what the machine makes of them differs.
    seed: int = 1

    @property
    def seconds(self) -> float:
        return self.minutes * 60
