"""Memory: what as many interpreters take that each import the app by themselves."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

from .errors import BenchError
from .processes import pss_bytes
from .supervisor import ROOT, SUBWORKERS, environment

PROGRAM = "import sys, bench.app; print('ready', flush=True); sys.stdin.read()"


def separate_interpreters() -> int:
    """Their PSS together, in bytes, all of them alive and idle."""
    with ExitStack() as stack:
        started = [stack.enter_context(_interpreter()) for _ in range(SUBWORKERS)]
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise BenchError("an interpreter did not import the app")
        total = pss_bytes(process.pid for process in started)
        for process in started:
            process.communicate()
    return total


def _interpreter() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
