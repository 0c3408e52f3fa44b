"""Who is whose parent: so that no process outlives its supervisor, and none is left unreaped."""

import ctypes
import os
import select
import signal
from typing import NamedTuple

#: Of a pid, as it is told through a pipe.
_PID_BYTES = 8
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent has died."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Be killed when `parent`, the parent of this process, dies; at once if it is dead already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def outlive_parent() -> None:
    """Take `die_with` back."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def await_adoption(between: int) -> None:
    """Wait until the parent that `fork_twice` has put in between has ended.

    Whose child this process is then depends on whether the supervisor lives: `die_with` looks.
    """
    while os.getppid() == between:
        try:
            pidfd = os.pidfd_open(between)
        except ProcessLookupError:
            continue
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(1000)
        os.close(pidfd)


class Offspring(NamedTuple):
    #: Which of the grandchildren this process is; None in the one that forks.
    which: int | None
    #: Their pids, fewer than were asked for if no more could be forked.
    pids: list[int]
    #: The pid of the process in between.
    between: int


def fork_twice(count: int) -> Offspring:
    """Fork grandchildren whose parent ends at once.

    That forks them one right after the other: what is written to between two forks is a page of its
    own for each of them.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        between = os.getpid()
        try:
            for which in range(count):
                grandchild = os.fork()
                if grandchild == 0:
                    os.close(writer)
                    return Offspring(which, [], between)
                os.write(writer, grandchild.to_bytes(_PID_BYTES, "little"))
        finally:
            if os.getpid() == between:
                os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    pids = [
        int.from_bytes(said[at : at + _PID_BYTES], "little")
        for at in range(0, len(said), _PID_BYTES)
    ]
    return Offspring(None, pids, child)
