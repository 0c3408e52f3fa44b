"""What the kernel knows of processes: CPU time, memory, children."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICKS = os.sysconf("SC_CLK_TCK")

#: utime and stime in /proc/PID/stat, counted from the state, which follows the name.
_UTIME, _STIME = 11, 12


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes together, all threads, in steps of 10 ms."""
    ticks = 0
    for pid in pids:
        # The name may hold blanks and parentheses; the last one ends it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[_UTIME]) + int(fields[_STIME])
    return ticks / _TICKS


def pss_bytes(pids: Iterable[int]) -> int:
    """Proportional set size: a page that n processes share counts 1/n for each of them."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
