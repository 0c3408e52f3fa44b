"""How many turns of the loop in `tasks.burn` take 1 ms of CPU here."""

from __future__ import annotations

import time

from .inside.bench_peer.tasks import burn

#: Turns of one try: some milliseconds, so that the clock's own cost doesn't show.
TURNS = 500_000
#: For some seconds: a virtual machine is slow at moments.
TRIES = 400


def turns_per_millisecond() -> int:
    """By this thread's CPU time, so that others don't count; the best of some tries."""
    return round(TURNS / min(_seconds() for _ in range(TRIES)) / 1000)


def _seconds() -> float:
    began = time.thread_time()
    burn(TURNS)
    return time.thread_time() - began
