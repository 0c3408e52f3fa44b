"""The memory that a supervisor shares with one subworker: a board, two rings, a slate.

It is anonymous (memfd): no name to leave behind when somebody is killed, and nobody else can open
it. The memory and the four eventfds reach the subworker over the template's socket.
"""

import fcntl
import mmap
import os
from typing import NamedTuple

from .board import Board, board_bytes
from .ring import HEADER_BYTES, Ring
from .slate import Slate, slate_bytes

#: Not among Python's constants: from now on it can be written through mappings only, no new ones.
_F_SEAL_FUTURE_WRITE = 0x10


class Descriptors(NamedTuple):
    """What is passed to the subworker, in this order."""

    memory: int
    jobs_data: int
    jobs_space: int
    results_data: int
    results_space: int
    #: Where the subworker writes the stacks of its threads when it is asked to.
    stacks: int
    #: Where descriptors 1 and 2 lead while their output is captured.
    stdout: int
    stderr: int


class SharedMemory:
    def __init__(self, fds: Descriptors, places: int, ring_bytes: int) -> None:
        self.fds = fds
        direction = HEADER_BYTES + ring_bytes
        board = board_bytes(places)
        rings = board + 2 * direction
        self._map = mmap.mmap(fds.memory, rings + slate_bytes(places))
        memory = memoryview(self._map)
        self.board = Board(memory[:board])
        self.jobs = Ring(memory[board : board + direction], fds.jobs_data, fds.jobs_space)
        self.results = Ring(memory[board + direction : rings], fds.results_data, fds.results_space)
        self.slate = Slate(memory[rings:], self.board)

    @classmethod
    def create(cls, places: int, ring_bytes: int) -> "SharedMemory":
        """Make the memory and its bells. Raises OSError when the system has none left."""
        memory = os.memfd_create("wsup", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        rings = 2 * (HEADER_BYTES + ring_bytes)
        os.ftruncate(memory, board_bytes(places) + rings + slate_bytes(places))
        # Were it shrunk, the supervisor's next look at it would be its last.
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        files = (os.memfd_create("wsup", os.MFD_CLOEXEC) for _ in range(3))
        fds = Descriptors(memory, _bell(), _bell(), _bell(), _bell(), *files)
        return cls(fds, places, ring_bytes)

    @property
    def bells(self) -> tuple[int, ...]:
        return self.fds[1:5]

    def seal(self) -> None:
        """Both sides have their mapping: no writing to a descriptor gets at the memory any more.

        (Tasks that write to descriptors which they take for theirs: Python's mmap keeps one, low.)
        """
        try:
            fcntl.fcntl(
                self.fds.memory, fcntl.F_ADD_SEALS, _F_SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL
            )
        except OSError:
            pass  # Linux before 5.1

    def close(self) -> None:
        """Close the descriptors; the mapping goes with the last view of it."""
        for fd in self.fds:
            os.close(fd)


def _bell() -> int:
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
