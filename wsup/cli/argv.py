"""What `ps` shows of our command line, without the passwords in it."""

import ctypes
import os
import sys
from pathlib import Path

from wsup.config.redaction import redacted

FLAG = "--database"
#: The fields of /proc/self/stat, counted from its ")", that tell where the arguments lie.
_START, _END = 45, 46


def hide_passwords() -> None:
    """Overwrite the passwords of --database in this process's arguments, as the kernel shows them.

    Others have seen them for as long as Python took to start: they are better not written there.
    """
    if not any(argument.startswith(FLAG) for argument in sys.argv[1:]):
        return
    try:
        shown = Path("/proc/self/cmdline").read_bytes()
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return
    start, end = int(fields[_START]), int(fields[_END])
    hidden = _hidden(shown)
    # Anything else means that somebody has moved them.
    if hidden != shown and end - start == len(shown) == len(hidden):
        ctypes.memmove(start, hidden, len(hidden))


def _hidden(command_line: bytes) -> bytes:
    """The same in as many bytes."""
    arguments = command_line.split(b"\0")
    for i, argument in enumerate(arguments):
        if argument.startswith(FLAG.encode() + b"=") or arguments[i - 1 : i] == [FLAG.encode()]:
            without = os.fsencode(redacted(os.fsdecode(argument)))
            arguments[i] = without[: len(argument)].ljust(len(argument))
    return b"\0".join(arguments)
