"""How a process has ended."""

import os
import signal


def end_in_words(status: int) -> str:
    """A wait status as "SIGKILL", "exit status 3"."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return signal.Signals(number).name
        except ValueError:
            return f"signal {number}"
    return f"exit status {os.waitstatus_to_exitcode(status)}"
