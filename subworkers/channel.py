"""Messages with descriptors between the supervisor and its template."""

import array
import os
import socket
from collections.abc import Sequence

#: Bytes of the largest message; a shortened traceback is the longest one there is.
LARGEST = 128 * 1024
_MOST_FDS = 16


class Channel:
    """One end of a SEQPACKET socket pair: a message is one packet, and arrives whole or not."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def pair(cls) -> tuple["Channel", socket.socket]:
        """This end, and the other one to be given to a child."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LARGEST)
        return cls(ours), theirs

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)

    def send(self, message: bytes, fds: Sequence[int] = ()) -> None:
        """Send one message. Raises OSError when the other end is gone."""
        ancillary = []
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        self._sock.sendmsg([message], ancillary)

    def receive(self) -> tuple[bytes, list[int]]:
        """The next message and its descriptors; b"" when the other end is closed."""
        fds = array.array("i")
        message, ancillary, _, _ = self._sock.recvmsg(
            LARGEST, socket.CMSG_SPACE(_MOST_FDS * fds.itemsize)
        )
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        for fd in fds:
            os.set_inheritable(fd, False)
        return message, list(fds)

    def close(self) -> None:
        self._sock.close()
