"""Descriptors that stay out of the way of user code, which likes to close the low ones."""

import fcntl
import os
import resource
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

#: Above what `for fd in range(1024): os.close(fd)` reaches.
HIGH = 1030


def lift(fds: Iterable[int]) -> list[int]:
    """Move descriptors up, out of reach of user code; returns their new numbers."""
    lowest = _lowest()
    lifted = []
    for fd in fds:
        lifted.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest))
        os.close(fd)
    return lifted


@contextmanager
def opening_high() -> Iterator[Callable[[], None]]:
    """What is opened inside, until what it gives is called, gets high numbers, also by libraries
    that can't be told: all lower ones are taken meanwhile."""
    lowest = _lowest()
    taken = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)]

    def free() -> None:
        while taken:
            os.close(taken.pop())

    try:
        while taken[-1] < lowest - 1:
            taken.append(os.dup(taken[0]))
        yield free
    finally:
        free()


def _lowest() -> int:
    """The lowest number out of reach; the limit is raised for it where that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HIGH + 1024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
        soft = reachable
    return HIGH if soft == resource.RLIM_INFINITY else min(HIGH, max(3, soft - 64))
