"""The latest note of the job at each place of the board, for the supervisor to read when it will.

A job may say a hundred thousand times a second how far it is. A queue would carry each of these;
here a note takes the place of the one before. Each place has two slots, written by turns, so that
the supervisor still finds the last whole note when the subworker was killed while it wrote one.
"""

import struct
from zlib import crc32

from .board import Board

_HEADER = struct.Struct("<II")  # length, CRC-32
#: Of the largest checkpoint, a message and what goes with them. Untouched slots take no memory.
SLOT_BYTES = 72 * 1024


def slate_bytes(places: int) -> int:
    """Bytes that the slots of so many places take, in whole pages."""
    return places * 2 * SLOT_BYTES


class Slate:
    def __init__(self, memory: memoryview, board: Board) -> None:
        self._memory = memory
        self._board = board

    def write(self, place: int, note: bytes) -> None:
        """Leave a note in place of the one before. Not for two threads at once."""
        at = self._slot(place, self._board.notes(place) + 1)
        start = at + _HEADER.size
        self._memory[start : start + len(note)] = note
        _HEADER.pack_into(self._memory, at, len(note), crc32(note))
        self._board.count_note(place)

    def read(self, place: int, count: int) -> bytes | None:
        """Note number `count` of this place; None if it is being written over just now."""
        at = self._slot(place, count)
        length, checksum = _HEADER.unpack_from(self._memory, at)
        start = at + _HEADER.size
        if length > SLOT_BYTES - _HEADER.size:
            return None
        note = bytes(self._memory[start : start + length])
        return note if crc32(note) == checksum else None

    def _slot(self, place: int, count: int) -> int:
        return (2 * place + count % 2) * SLOT_BYTES
