"""The lines that one attempt has written, sent as soon as each is whole, up to a bound."""

import threading
import time
from typing import Protocol

import msgspec

from .texts import storable

#: Characters after which a line that doesn't end is taken for one.
LONGEST_PART = 8192
#: What the last line is said to come from when there was more.
OURS = "wsup"

_encode = msgspec.json.Encoder().encode


class Log(Protocol):
    """Where lines go."""

    def log(self, line: bytes) -> None: ...


class Lines:
    def __init__(self, notes: Log, most: int) -> None:
        self._notes = notes
        self._most = self._left = most
        #: The beginnings of lines, by stream and who writes: what several write must not mix.
        self._parts: dict[tuple[str, int], str] = {}
        #: Whose line has gone out before it had an end.
        self._cut: set[tuple[str, int]] = set()
        #: The warnings that it has been given.
        self.warned: set[object] = set()
        #: A job's threads may write at once; and a destructor amid a write, in the same thread.
        self._lock = threading.RLock()

    def write(self, stream: str, text: str, writer: int) -> None:
        """Text as it was written to a stream: whole lines go out, the rest waits."""
        with self._lock:
            key = stream, writer
            *whole, part = (self._parts.pop(key, "") + text).split("\n")
            if whole and key in self._cut:
                self._cut.discard(key)
                if not whole[0]:
                    del whole[0]
            for line in whole:
                self.add(stream, None, _as_shown(line.removesuffix("\r")))
            part = _as_shown(part) if "\r" in part[:-1] else part
            if len(part) > LONGEST_PART:
                self.add(stream, None, part)
                self._cut.add(key)
            elif part:
                self._parts[key] = part

    def add(self, source: str, level: str | None, text: str) -> None:
        """A line, or a record, which may have several."""
        if self._left <= 0:
            return
        if len(text) > self._left:
            text = text[: self._left]
        line = as_line(source, level, text)
        self._left -= len(line)
        self._notes.log(line)
        if self._left <= 0:
            more = f"[… of this attempt's output, what is beyond {self._most:,} bytes is left out]"
            self._notes.log(as_line(OURS, None, more))

    def end(self) -> None:
        """The attempt is over: what waits for the end of its line goes out."""
        with self._lock:
            parts, self._parts = self._parts, {}
            for (stream, _), part in parts.items():
                self.add(stream, None, _as_shown(part))


def as_line(source: str, level: str | None, text: str) -> bytes:
    """As `wire.Logged` has it."""
    at = round(time.time(), 6)  # noqa: TID251  (for people to read)
    return _encode((at, storable(source), level, storable(text)))


def _as_shown(line: str) -> str:
    """What a terminal would show in the end: progress bars go back to the start of their line."""
    return line.rstrip("\r").rpartition("\r")[2] if "\r" in line else line
