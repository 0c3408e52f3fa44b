"""A new generation warms up beside one that works: its import steps back behind the jobs."""

import logging
import os
import resource
from pathlib import Path

log = logging.getLogger("wsup.priority")

#: How much nicer than this process a template is while it imports. No more, for on a machine that
#: others keep busy the import must come to its end, too.
WARMING_NICE = 5
_CAP_SYS_NICE = 1 << 23
#: What /proc/self/uid_map says where no user namespace is in between: only there do capabilities
#: count for this.
_WHOLE_UID_MAP = ["0", "0", "4294967295"]


def own() -> int:
    """This process's nice value."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def can_come_back() -> bool:
    """May this process lift another one of the same user up to its own priority again?

    Everybody may lower one; the other way takes RLIMIT_NICE or a capability. Without, subworkers
    would stay nicer for good, so it is left alone.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NICE)
    is_allowed = limit == resource.RLIM_INFINITY or limit >= 20 - own()
    return is_allowed or _has_capability()


def step_back(pid: int) -> bool:
    """Make a process nicer than this one; returns whether it is, and can come back."""
    return can_come_back() and _set_nice(pid, own() + WARMING_NICE)


def come_back(pid: int) -> None:
    """Undo that, for the thread that forks: the main one."""
    if not _set_nice(pid, own()):
        log.warning("new subworkers stay at a lower priority (nice %d)", own() + WARMING_NICE)


def _set_nice(pid: int, nice: int) -> bool:
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    except OSError:
        return False  # a sandbox may forbid it, or the process has ended
    return True


def _has_capability() -> bool:
    status = Path("/proc/self/status").read_text()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    uid_map = Path("/proc/self/uid_map").read_text().split()
    return bool(effective & _CAP_SYS_NICE) and uid_map == _WHOLE_UID_MAP
