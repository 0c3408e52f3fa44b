"""Telling systemd how we are (sd_notify(3)): a datagram to the socket that it names."""

import os
import socket
import time


class Systemd:
    """Silent where no service manager listens."""

    def __init__(self, environ: "os._Environ[str]" = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        micros = environ.get("WATCHDOG_USEC", "")
        #: Seconds between two signs of progress that the watchdog is content with, or None.
        self.watchdog = int(micros) / 2e6 if micros.isdigit() and self._address else None

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

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
            try:
                sock.sendto(message.encode(), address)
            except OSError:
                pass  # who doesn't listen can't be told
