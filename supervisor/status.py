"""What a supervisor tells of itself: to `wsup status`, and to the log."""

import os
import socket
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .member import Member, State

if TYPE_CHECKING:
    from .supervisor import Supervisor


def supervisor_status(supervisor: "Supervisor") -> dict[str, Any]:
    """The whole host: the supervisor itself, its rates, and each subworker."""
    pool, meter = supervisor.pool, supervisor.meter
    return {
        "supervisor": supervisor.source.supervisor,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": version("wsup"),
        "state": supervisor.state,
        "uptime": meter.uptime(),
        "generation": pool.generation.number if pool.generation else 0,
        "queues": list(supervisor.turns.queues),
        "rate": meter.rate.values,
        "occupancy": meter.occupancy.values,
        "queued": len(supervisor.backlog),
        "done": meter.done,
        "failed": supervisor.gather.failed,
        "connected": supervisor.source.connected,
        "database": supervisor.origin.name,
        "subworkers": members_status(pool.members),
    }


def member_status(member: Member, now: float) -> dict[str, Any]:
    """One subworker: its process, its state, and the jobs that it runs since when."""
    running = [] if member.state is State.GONE else member.running()
    jobs = []
    for place in running:
        row = member.held.get(place.job)
        jobs.append(
            {
                "id": place.job,
                "attempt": place.attempt,
                "task": row[3] if row else None,
                "seconds": max(0.0, now - place.started),
            }
        )
    state = member.state.value
    if member.state is State.READY:
        state = "busy" if jobs or member.held else "idle"
    return {
        "index": member.index,
        "pid": member.pid,
        "generation": member.generation,
        "state": state,
        "done": member.done,
        "jobs": jobs,
    }


def supervisor_row(supervisor: "Supervisor") -> dict[str, object]:
    """What its row in the database says."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": version("wsup"),
        "queues": list(supervisor.turns.queues),
        "subworkers": supervisor.settings.subworkers,
        "lease": supervisor.settings.lease,
        "direct": supervisor.source.direct,
        "cpus": len(os.sched_getaffinity(0)),
    }


def members_status(members: Iterable[Member]) -> list[dict[str, Any]]:
    now = time.monotonic()
    ordered = sorted(members, key=lambda member: (member.index, member.generation))
    return [member_status(member, now) for member in ordered]


def in_lines(status: dict[str, Any]) -> Sequence[str]:
    """The same for the log, a line a subworker."""
    lines = [
        f"supervisor {status['supervisor']} {status['state']}, generation {status['generation']}, "
        f"{status['queued']} jobs queued here, {status['done']} done, {status['failed']} failed"
    ]
    for member in status["subworkers"]:
        jobs = ", ".join(
            f"job {job['id']} {job['task']} (attempt {job['attempt']}) for {job['seconds']:.1f} s"
            for job in member["jobs"]
        )
        lines.append(
            f"subworker {member['index']} pid {member['pid']} generation {member['generation']} "
            f"{member['state']}, {member['done']} done{': ' if jobs else ''}{jobs}"
        )
    return lines
