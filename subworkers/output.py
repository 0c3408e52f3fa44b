"""What C code, and the programs that a task starts, write to descriptors 1 and 2.

While one job runs at a time, these lead into two files in memory. At the end of each job, and
before each line that it writes itself, what lies there is taken for its output, and passed on to
where the descriptors led before. What is left when the process dies, the supervisor finds there.
"""

import ctypes
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO

from .board import Board
from .capture import Capture, Current
from .descriptors import lift

#: Bytes of what has come at once that are kept, the last ones.
MOST_AT_ONCE = 1 << 20
#: What a page looks like that was emptied.
HOLE = b"\0" * 4096
#: Of Linux: FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE.
PUNCH_HOLE = 0x01 | 0x02

#: The place of the next byte: all that write by these descriptors share it.
_END_OF_IT = os.SEEK_CUR
_lseek = os.lseek


class File:
    """One of the two files, and how much of it was taken."""

    def __init__(self, name: str, fd: int, passed: IO[str]) -> None:
        self.name = name
        self.fd = fd
        self.passed = passed
        self.taken = 0

    def take(self, end: int) -> bytes:
        """What was written up to there since the last time."""
        data = read(self.fd, self.taken, end)
        self.taken = end
        if 512 * os.fstat(self.fd).st_blocks > MOST_AT_ONCE:
            free(self.fd, end)
        return data


class Output:
    def __init__(
        self,
        files: tuple[int, int],
        board: Board,
        undisturbed: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`undisturbed`: nothing is raised inside of it."""
        self._board = board
        self._undisturbed = undisturbed
        saved = lift([os.dup(1), os.dup(2)])
        for stream, file in enumerate(files, 1):
            os.dup2(file, stream)
        #: To where the descriptors led before.
        self.passed: tuple[IO[str], IO[str]] = _opened(saved[0]), _opened(saved[1])
        self._files = (
            File("stdout", files[0], self.passed[0]),
            File("stderr", files[1], self.passed[1]),
        )
        self._out, self._err = files
        #: Bytes of both that were taken.
        self._taken = 0
        self._busy = False
        self.capture: Capture | None = None

    def collect(self, job: Current) -> None:
        """Take what has come for the output of this job. For the main thread."""
        # Two system calls, half a microsecond: what a silent job pays.
        if _lseek(self._out, 0, _END_OF_IT) + _lseek(self._err, 0, _END_OF_IT) != self._taken:
            self._take(job)

    def _take(self, job: Current) -> None:
        if self._busy or self.capture is None or not self.capture.is_ours:
            return
        self._busy = True
        try:
            with self._undisturbed():
                for number, file in enumerate(self._files):
                    if (end := _lseek(file.fd, 0, _END_OF_IT)) != file.taken:
                        self._taken += end - file.taken
                        data = file.take(end)
                        self._board.take_output(number, end)
                        self._pass_on(job, file, data)
        finally:
            self._busy = False

    def _pass_on(self, job: Current, file: File, data: bytes) -> None:
        file.passed.flush()
        file.passed.buffer.write(data)  # type: ignore[attr-defined]
        file.passed.buffer.flush()  # type: ignore[attr-defined]
        if self.capture is not None:
            self.capture.write_of(job, file.name, data.decode("utf-8", "backslashreplace"))


def read(fd: int, start: int, end: int) -> bytes:
    """What was written to such a file between two places, or the end of it."""
    begin = max(start, end - MOST_AT_ONCE)
    data = os.pread(fd, end - begin, begin)
    left_out = begin - start
    if data.startswith(HOLE):  # it was emptied meanwhile, being too large
        whole, data = len(data), data.lstrip(b"\0")
        left_out += whole - len(data)
    return (f"[… {left_out:,} bytes left out]\n".encode() if left_out else b"") + data


def free(fd: int, end: int) -> None:
    """Give back the memory of what lies before `end`; whoever writes just now writes after that."""
    fallocate = ctypes.CDLL(None).fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    fallocate(fd, PUNCH_HOLE, 0, end)


def _opened(fd: int) -> IO[str]:
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
