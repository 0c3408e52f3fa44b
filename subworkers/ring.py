"""A byte stream between two processes through shared memory, framed into messages.

One process sends, one receives; nothing is locked, so either may be killed at any instruction and
the other one notices no more than silence. Each side owns one counter: the sender how many bytes
were ever written, the receiver how many were ever read. What lies between is in the ring, at that
position modulo the ring's size. A counter is published by one aligned 8-byte store after the bytes
that it covers, and an eventfd is rung after that: a system call, hence a memory barrier.

A frame is a header (length, CRC-32) and a payload; a frame larger than the ring goes through it in
pieces. The data bell is rung always, never only "if the other one sleeps": without a memory fence,
such a flag can be read too early, and a wake-up is lost. The space bell is spared while less than
half of the ring was read: a sender that waits has filled all of it, so one of the last two reads
was of half or more, and between two reads there is a system call. A wait for space is timed all
the same.
"""

import os
import select
import struct
import time
from collections.abc import Iterable
from zlib import crc32

FRAME = struct.Struct("<II")
#: Bytes. A length above this is taken for damage, not for a message.
LARGEST_FRAME = 1 << 30
#: Seconds between looks for space while waiting for it.
SPACE_SECONDS = 0.05
#: Seconds that a result may lie in the ring before its bell, while more are on their way: as long
#: as results wait for each other before a commit. (Behind a long job it would lie for longer; so
#: the supervisor also looks by itself, some twenty times a second.)
BELL_PAUSE = 0.01
#: Bytes before the data: the two counters and the closed flag, each on a cache line of its own.
HEADER_BYTES = 4096
_WRITTEN, _READ, _CLOSED = 0, 16, 32  # indices of 8-byte words


class RingDamaged(Exception):
    """What lies in shared memory was not written by the other side's ring."""


class RingClosed(Exception):
    """The other side has closed the queue, and everything in it has been read."""


class RingFull(Exception):
    """The other side has read nothing for the whole time-out."""


class Ring:
    """One direction: a region of shared memory and the two eventfds that announce its changes."""

    def __init__(self, memory: memoryview, data_fd: int, space_fd: int) -> None:
        self.words = memory[:HEADER_BYTES].cast("Q")
        self.data = memory[HEADER_BYTES:]
        self.size = len(self.data)
        self.data_fd = data_fd
        self.space_fd = space_fd


def ring_bell(fd: int) -> None:
    try:
        os.eventfd_write(fd, 1)
    except BlockingIOError:
        pass  # it rings already, as high as it can count: a task wrote into it


def hush_bell(fd: int) -> None:
    """Take note of a bell; without this it would go on ringing."""
    try:
        os.eventfd_read(fd)
    except BlockingIOError:
        pass


class Bell:
    """An eventfd to wait for."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def wait(self, timeout: float | None) -> bool:
        """Wait until it rings, at most `timeout` seconds; True if it rang."""
        rang = bool(self._poll.poll(None if timeout is None else timeout * 1000))
        if rang:
            hush_bell(self._fd)
        return rang


class Sender:
    """The sending end. `put` waits for space; `offer` never does, and keeps what did not fit."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._data = ring.data
        self._words = ring.words
        self._size = ring.size
        self._written: int = ring.words[_WRITTEN]
        self._rest = bytearray()
        self._space = Bell(ring.space_fd)

    @property
    def space_fd(self) -> int:
        """Readable when the receiver has made space; watch it while `flush` returns False."""
        return self._ring.space_fd

    def offer(self, payload: bytes, *, bell: bool = True) -> bool:
        """Send what fits now and keep the rest for `flush`. True if all of it went."""
        frame = FRAME.pack(len(payload), crc32(payload)) + payload
        if self._rest:
            self._rest += frame
        else:
            sent = self._write(memoryview(frame))
            if sent < len(frame):
                self._rest += memoryview(frame)[sent:]
        if bell:
            ring_bell(self._ring.data_fd)
        return not self._rest

    def flush(self) -> bool:
        """Send more of what was kept. True when nothing is left."""
        if self._rest:
            sent = self._write(memoryview(self._rest))
            if sent:
                del self._rest[:sent]
                ring_bell(self._ring.data_fd)
        return not self._rest

    def put(self, payload: bytes, timeout: float | None = None, *, bell: bool = True) -> None:
        """Send one message, waiting for space; raises RingFull after `timeout` seconds without.

        With `bell=False` it lies in shared memory already, safe from this process's death, but
        the receiver is told only by a later `ring_bell`.
        """
        if self.offer(payload, bell=bell):
            return
        ring_bell(self._ring.data_fd)
        give_up = None if timeout is None else time.monotonic() + timeout
        while not self.flush():
            if give_up is not None and time.monotonic() > give_up:
                raise RingFull
            self._space.wait(SPACE_SECONDS)

    def put_many(self, payloads: Iterable[bytes], timeout: float | None = None) -> None:
        """Send several messages with one bell."""
        for payload in payloads:
            self.put(payload, timeout, bell=False)
        self.ring_bell()

    def ring_bell(self) -> None:
        ring_bell(self._ring.data_fd)

    def close(self) -> None:
        """Tell the receiver that nothing more will come."""
        self._words[_CLOSED] = 1
        ring_bell(self._ring.data_fd)

    def _write(self, chunk: memoryview) -> int:
        size = self._size
        used = self._written - self._words[_READ]
        if not 0 <= used <= size:
            raise RingDamaged(f"{used} bytes can't wait in a ring of {size}")
        fits = min(len(chunk), size - used)
        start = self._written % size
        first = min(fits, size - start)
        self._data[start : start + first] = chunk[:first]
        if fits > first:
            self._data[: fits - first] = chunk[first:fits]
        self._written += fits
        self._words[_WRITTEN] = self._written
        return fits


class Receiver:
    """The receiving end. `get_nowait` takes whatever is there; `get_many` waits for something."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._data = ring.data
        self._words = ring.words
        self._size = ring.size
        self._read: int = ring.words[_READ]
        self._partial = bytearray()
        self._data_bell = Bell(ring.data_fd)
        self._ahead: list[memoryview] = []

    @property
    def data_fd(self) -> int:
        """Readable when something was sent."""
        return self._ring.data_fd

    def get_nowait(self) -> list[memoryview]:
        """Every message that is complete by now. Raises RingDamaged for a bad frame."""
        hush_bell(self._ring.data_fd)
        chunk = self._take()
        if not chunk:
            return []
        if self._partial:
            self._partial += chunk
            if len(self._partial) < self._needed():
                return []  # don't look at a large message again at each piece
            chunk, self._partial = bytes(self._partial), bytearray()
        return self._split(memoryview(chunk))

    def get_many(self, timeout: float | None = None) -> list[memoryview]:
        """Wait for messages at most `timeout` seconds; [] if none came.

        Raises RingClosed once the sender has closed and all was read.
        """
        while not (messages := self.get_nowait()):
            if self._words[_CLOSED] and self._words[_WRITTEN] == self._read:
                raise RingClosed
            if not self._data_bell.wait(timeout):
                break
        return messages

    def get(self, timeout: float | None = None) -> memoryview | None:
        """The next message, or None if none came within `timeout` seconds."""
        if not self._ahead:
            self._ahead = self.get_many(timeout)
        return self._ahead.pop(0) if self._ahead else None

    def _take(self) -> bytes:
        waiting = self._words[_WRITTEN] - self._read
        if not 0 < waiting <= self._size:
            if waiting:
                raise RingDamaged(f"{waiting} bytes can't wait in a ring of {self._size}")
            return b""
        start = self._read % self._size
        chunk = bytes(self._data[start : start + waiting])
        if len(chunk) < waiting:
            chunk += bytes(self._data[: waiting - len(chunk)])
        self._read += waiting
        self._words[_READ] = self._read
        if 2 * waiting >= self._size:
            ring_bell(self._ring.space_fd)
        return chunk

    def _needed(self) -> int:
        if len(self._partial) < FRAME.size:
            return FRAME.size
        length: int = FRAME.unpack_from(self._partial)[0]
        return FRAME.size + length

    def _split(self, chunk: memoryview) -> list[memoryview]:
        messages = []
        at, end = 0, len(chunk)
        while end - at >= FRAME.size:
            length, checksum = FRAME.unpack_from(chunk, at)
            if length > LARGEST_FRAME:
                raise RingDamaged(f"a frame claims to have {length} bytes")
            stop = at + FRAME.size + length
            if stop > end:
                break
            payload = chunk[at + FRAME.size : stop]
            if crc32(payload) != checksum:
                raise RingDamaged("a frame doesn't match its checksum")
            messages.append(payload)
            at = stop
        if at < end:
            self._partial += chunk[at:]
        return messages
