"""What the kernel knows of processes: CPU time, memory, children."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TICKS = os.sysconf("SC_CLK_TCK")

#: utime and stime in /proc/PID/stat, and the same of ended children that were waited for; counted
#: from the state, which follows the name.
_OWN, _OF_ENDED = slice(11, 13), slice(13, 15)
#: The columns of the first line of /proc/stat that are work: user, nice, system, irq, softirq.
_BUSY = (1, 2, 3, 6, 7)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes together, all threads."""
    return sum(map(_own_seconds, pids))


def family_seconds(roots: Iterable[int]) -> float:
    """The same of these processes and all of their descendants; of those that have ended, in steps
    of 10 ms."""
    pids = [pid for root in roots for pid in family(root)]
    return cpu_seconds(pids) + sum(_ticks(pid, _OF_ENDED) for pid in pids) / _TICKS


def machine_seconds() -> float:
    """CPU time that was used by anybody."""
    columns = Path("/proc/stat").read_text().split(maxsplit=8)
    return sum(int(columns[i]) for i in _BUSY) / _TICKS


def _own_seconds(pid: int) -> float:
    """In nanoseconds by its threads, or in steps of 10 ms with those that have ended: whichever is
    more, as the steps are rounded down."""
    nanoseconds = 0
    try:
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            nanoseconds += int(thread.read_text().split(maxsplit=1)[0])
    except (FileNotFoundError, ProcessLookupError):
        pass  # it, or that thread, has just ended
    return max(nanoseconds / 1e9, _ticks(pid, _OWN) / _TICKS)


def _ticks(pid: int, columns: slice) -> int:
    try:
        # The name may hold blanks and parentheses; the last one ends it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(field) for field in fields[columns])


def family(root: int) -> Iterator[int]:
    """A process and all of its descendants."""
    yield root
    for child in children(root):
        yield from family(child)


def pss_bytes(pids: Iterable[int]) -> int:
    """Proportional set size: a page that n processes share counts 1/n for each of them."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`, whichever of its threads has started them."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, thread.read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it, or that thread, has just ended
    return found
