"""How much memory the host's processes of ours take."""

import resource
from collections.abc import Sequence
from pathlib import Path


def rss(pid: int) -> int | None:
    """Resident set size of a process in bytes, shared pages included; None if it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * resource.getpagesize()


def pss(pid: int) -> int | None:
    """Proportional set size of a process in bytes; None if it can't be read (any more)."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


class MemoryMeter:
    """Measures one process a call, in turn: reading them all takes milliseconds. Each shared page
    is counted once."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._turn = 0

    def sample(self, pids: Sequence[int]) -> int:
        """The sum over `pids`, of which one has been measured anew."""
        if not pids:
            return 0
        self._turn = (self._turn + 1) % len(pids)
        self._sizes = {pid: size for pid, size in self._sizes.items() if pid in pids}
        for pid in (pids[self._turn], *(pid for pid in pids if pid not in self._sizes)):
            if (size := pss(pid)) is not None:
                self._sizes[pid] = size
        return sum(self._sizes.values())
