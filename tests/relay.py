"""A relay between a client and PostgreSQL, for tests of what goes wrong between the two."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Relay:
    """Stands between a client and the server, and changes what they say."""

    def __init__(self, server: str, where: Path | str) -> None:
        """Listens in a folder, or at an IPv4 address."""
        self._server = conninfo_to_dict(server)
        port = int(str(self._server.get("port", 5432)))
        if isinstance(where, Path):
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(where / f".s.PGSQL.{port}"))
            self._listener.listen()
        else:
            self._listener = socket.create_server((where, 0))
            port = self._listener.getsockname()[1]
        self.dsn = make_conninfo(server, host=str(where), hostaddr=None, port=port)
        #: Applied to each piece that the server sends; None breaks the connection.
        self.change: Callable[[bytes], bytes | None] = lambda data: data
        #: The same for what the client sends.
        self.forward: Callable[[bytes], bytes | None] = lambda data: data
        #: While it is not set, the server isn't told when the client goes, as when a cable is cut.
        self.tells = threading.Event()
        self.tells.set()
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, self._connect() as server:
            replies = threading.Thread(target=self._replies, args=(client, server), daemon=True)
            replies.start()
            self._requests(client, server)
            replies.join()

    def _connect(self) -> socket.socket:
        host, port = str(self._server.get("host", "localhost")), self._server.get("port", "5432")
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((host, int(str(port))))

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        # Either side may be gone at any moment: the other one is then told, and that is all.
        with suppress(OSError):
            while data := client.recv(65536):
                changed = self.forward(data)
                if changed is None:
                    break
                server.sendall(changed)
        self.tells.wait()
        _part(client, server)

    def _replies(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                changed = self.change(data)
                if changed is None:
                    break
                client.sendall(changed)
        _part(client, server)

    def close(self) -> None:
        self.tells.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _part(*sockets: socket.socket) -> None:
    """End both directions, so that nobody goes on waiting for the other."""
    for sock in sockets:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
