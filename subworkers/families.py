"""What tasks have started: the subworkers' process groups, which are to end with the supervisor.

A subworker dies with the supervisor by itself, by the kernel's hand. Its children don't; they would
go on while the job that has started them runs again elsewhere. The template outlives the supervisor
for the moment that it takes to end them.
"""

import os
import select
import signal

#: Seconds until a template that its supervisor has let go, but not killed, ends by itself.
LET_GO_SECONDS = 10.0


class Families:
    """Watches the supervisor, and whom the template has forked for it."""

    def __init__(self, supervisor: int) -> None:
        """Raises ProcessLookupError if the supervisor is dead already."""
        self._poll = select.poll()
        self._supervisor = os.pidfd_open(supervisor)
        self._poll.register(self._supervisor, select.POLLIN)
        self._pids: dict[int, int] = {}

    def add(self, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        self._pids[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)

    def await_message(self, channel: int) -> bool:
        """Wait until there is something to receive; False if the supervisor is dead."""
        self._poll.register(channel, select.POLLIN)
        while True:
            ready = {fd for fd, _ in self._poll.poll()}
            if self._supervisor in ready:
                return False
            for ended in ready & self._pids.keys():  # the supervisor ends its family
                self._forget(ended)
            if channel in ready:
                return True

    def end_with_supervisor(self) -> None:
        """The channel is closed: the supervisor is dead or dying, or about to end this process.

        If it is dead, end what is left of the families. As long as one of a group's processes
        lives, its number is given to no other; those who died before have been forgotten.
        """
        poll = select.poll()
        poll.register(self._supervisor, select.POLLIN)
        if not poll.poll(LET_GO_SECONDS * 1000):
            return
        for pid in self._pids.values():
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

    def close(self) -> None:
        """In a subworker: these are the template's."""
        os.close(self._supervisor)
        for pidfd in self._pids:
            os.close(pidfd)

    def _forget(self, pidfd: int) -> None:
        self._poll.unregister(pidfd)
        del self._pids[pidfd]
        os.close(pidfd)
