"""The way out for what two threads have to report: the ring has room for one sender only."""

import threading
from collections import deque

from . import wire
from .attempt import Attempts
from .ring import Sender


class Outbox:
    """Made in the main thread."""

    def __init__(self, results: Sender, attempts: Attempts) -> None:
        self._results = results
        self._attempts = attempts
        self._sending = threading.Lock()
        #: Notes that are to be sent.
        self._late: deque[bytes] = deque()
        self._main = threading.get_ident()

    def send(self, report: wire.Report, *, bell: bool = True) -> None:
        with self._sending:
            self._put_late()  # what a job has noted comes before its end
            self._results.put(wire.encode(report), bell=bell)
        if self._late:
            self._send_late()

    def ring_bell(self) -> None:
        self._results.ring_bell()

    def send_note(self, note: bytes) -> None:
        """Send it, unless somebody is just sending, who then does it (this very thread, perhaps: a
        destructor may print at any time). The bell is spared: as long as jobs run, the supervisor
        looks by itself."""
        self._late.append(note)
        if threading.get_ident() == self._main:
            with self._attempts.undisturbed():
                self._send_late()
        else:
            self._send_late()

    def _send_late(self) -> None:
        while self._late and self._sending.acquire(blocking=False):
            try:
                self._put_late()
            finally:
                self._sending.release()

    def _put_late(self) -> None:
        while self._late:
            self._results.put(self._late.popleft(), bell=False)
