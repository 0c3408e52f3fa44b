"""What idle subworkers take whose app imports a large package, by what one interpreter does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ..processes import children, pss_bytes
from .errors import PeerFailed
from .idle import come_to_rest
from .verify import verify

if TYPE_CHECKING:
    from .stage import Stage

#: Imports the adapter, and with it the app and what it imports.
PROGRAM = "import sys, peer; print('ready', flush=True); sys.stdin.read()"
#: The column of /proc/PID/stat that has the time of the start, counted from the state.
_STARTED = 19
MIB = 1024 * 1024


def measure(stage: Stage, task: str) -> dict[str, float]:
    """MiB of PSS, each page counted by the processes that share it; then by one interpreter's."""
    with stage.workers() as workers:
        come_to_rest(stage, workers, task)
        template, *subworkers = sorted(children(workers.pids[0]), key=_started)
        forked, its_own = pss_bytes(subworkers) / MIB, pss_bytes([template]) / MIB
        settings = stage.installed.system.settings_for(stage.workload)
        if len(subworkers) != settings.options["subworkers"]:
            raise PeerFailed(f"there are {len(subworkers)} processes beside the template")
    one = _interpreter(stage)
    return {
        "rate": forked / one,
        "template": (forked + its_own) / one,
        "forked": forked,
        "one": one,
        "repeated": verify(stage, task),
    }


def _interpreter(stage: Stage) -> float:
    """MiB of one that nobody shares a page with."""
    with subprocess.Popen(
        [str(stage.installed.interpreter), "-c", PROGRAM],
        env=stage.environment(),
        cwd=stage.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise PeerFailed("an interpreter did not import the app")
        size = pss_bytes([process.pid]) / MIB
        process.communicate()
    return size


def _started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[_STARTED])
