"""Ctrl-C and its like, which must find everything that was started noted down, and so ended."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

#: Ctrl-C, a polite kill, a closed terminal.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, the first of SIGNALS raises KeyboardInterrupt; what follows is ignored,
    since everything is being ended already."""

    def __init__(self) -> None:
        self._before: list[tuple[signal.Signals, object]] = []
        self._put_off = False
        self._come = False
        self._raised = False

    def __enter__(self) -> "Interrupts":
        self._before = [(each, signal.signal(each, self._note)) for each in SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before:
            signal.signal(each, handler)  # type: ignore[arg-type]

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Something is being started or ended: it is not to be stopped halfway."""
        self._put_off = True
        try:
            yield
        finally:
            self._put_off = False
        self._raise_once()

    def _note(self, _signum: int, _frame: FrameType | None) -> None:
        self._come = True
        if not self._put_off:
            self._raise_once()

    def _raise_once(self) -> None:
        if self._come and not self._raised:
            self._raised = True
            raise KeyboardInterrupt
