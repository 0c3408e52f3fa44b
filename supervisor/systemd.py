"""Telling systemd how we are (sd_notify(3)): a datagram to the socket that it names."""

import os
import socket
import time
from collections.abc import MutableMapping


class Systemd:
    """Silent where no service manager listens.

    Its variables are taken out of the environment: they are meant for this process alone, and not
    for what the tasks start.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        micros = environ.pop("WATCHDOG_USEC", "")
        ours = environ.pop("WATCHDOG_PID", "") in ("", str(os.getpid()))
        #: Seconds between two signs of progress that the watchdog is content with, or None.
        self.watchdog = int(micros) / 2e6 if micros.isdigit() and ours and self._address else None

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS=reloading")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping")

    def status(self, text: str) -> None:
        self._send(f"STATUS={text}")

    def progress(self) -> None:
        """The main loop has got on: the watchdog may go on sleeping."""
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)  # who doesn't read what we say must not stop us
            try:
                sock.sendto(message.encode(), address)
            except OSError:
                pass  # who doesn't listen can't be told
