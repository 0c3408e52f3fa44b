"""Who is whose parent: so that no process outlives its supervisor, and none is left unreaped."""

import ctypes
import os
import select
import signal

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


def fork_twice() -> tuple[int, int]:
    """Fork a grandchild whose parent ends at once. Returns its pid, 0 in the grandchild, and the
    pid of the process in between."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        between = os.getpid()
        grandchild = os.fork()
        if grandchild == 0:
            os.close(writer)
            return 0, between
        os.write(writer, grandchild.to_bytes(8, "little"))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        pid = int.from_bytes(pipe.read(8), "little")
    os.waitpid(child, 0)
    if pid == 0:
        raise OSError("the process in between could not fork")
    return pid, child
