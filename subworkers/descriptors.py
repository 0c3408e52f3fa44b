"""Descriptors that stay out of the way of user code, which likes to close the low ones."""

import fcntl
import os
import resource
from collections.abc import Iterable

#: Above what `for fd in range(1024): os.close(fd)` reaches.
HIGH = 1030


def lift(fds: Iterable[int]) -> list[int]:
    """Move descriptors up, out of reach of user code; returns their new numbers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HIGH + 1024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
        soft = reachable
    lowest = HIGH if soft == resource.RLIM_INFINITY else min(HIGH, max(3, soft - 64))
    lifted = []
    for fd in fds:
        lifted.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest))
        os.close(fd)
    return lifted
