"""A service manager's end of sd_notify(3): a real datagram socket."""

import socket
import time
from pathlib import Path

from running import PATIENCE


class NotifySocket:
    """Keeps the messages in the order of their coming, each as its fields with the time."""

    def __init__(self, folder: Path, *, abstract: bool = False) -> None:
        path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + path if abstract else path)
        self.messages: list[tuple[float, dict[str, str]]] = []
        self.environment = {"NOTIFY_SOCKET": "@" + path if abstract else path}

    def watching(self, seconds: float) -> dict[str, str]:
        """The environment of a service with a watchdog."""
        return {**self.environment, "WATCHDOG_USEC": str(int(seconds * 1e6))}

    def wait_for(self, key: str, text: str = "", patience: float = PATIENCE) -> dict[str, str]:
        """The next message whose field `key` has `text` in it."""
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0:
            fields = self._receive(left)
            if fields is not None and key in fields and text in fields[key]:
                return fields
        raise AssertionError(f"no {key}={text}… within {patience:g} s; came: {self.messages[-20:]}")

    def listen(self, seconds: float) -> list[dict[str, str]]:
        """What comes within that time."""
        before, deadline = len(self.messages), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._receive(left)
        return [fields for _, fields in self.messages[before:]]

    def drain(self) -> None:
        """Take in what has come so far."""
        while self._receive(0) is not None:
            pass

    def times(self, key: str) -> list[float]:
        """When each message with that field was read."""
        return [at for at, fields in self.messages if key in fields]

    def _receive(self, seconds: float) -> dict[str, str] | None:
        self._socket.settimeout(seconds)
        try:
            message = self._socket.recv(4096).decode()
        except (TimeoutError, BlockingIOError):
            return None
        fields = dict(line.partition("=")[::2] for line in message.split("\n"))
        self.messages.append((time.monotonic(), fields))
        return fields

    def close(self) -> None:
        name = self._socket.getsockname()
        self._socket.close()
        if isinstance(name, str):
            Path(name).unlink()
