"""A process that loses its supervisor while it is being born must not live."""

import signal
import subprocess
import sys

BORN_TOO_LATE = """
import os, sys
from wsup.subworkers.kinship import await_adoption, die_with
gone = int(sys.argv[1])
await_adoption(gone)
die_with(gone)
"""


def test_who_is_born_after_its_supervisors_death_dies_at_once() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    command = [sys.executable, "-c", BORN_TOO_LATE, str(gone.pid)]
    assert subprocess.run(command, timeout=30, check=False).returncode == -signal.SIGKILL
