"""A real PgBouncer in transaction mode in front of a server, for tests."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from running import PATIENCE, until

PROGRAM = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
PORT = 6432
CONFIG = """\
[databases]
* = {server}
[pgbouncer]
pool_mode = transaction
default_pool_size = 10
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
logfile = {folder}/log
server_login_retry = 1
"""


class Pooler:
    """PgBouncer before the server of `database`. It runs as who owns the server's socket, because
    it refuses to be root, and a server of ours lets nobody else in."""

    def __init__(self, database: str) -> None:
        self._server = conninfo_to_dict(database)
        # Short enough for a Unix socket's path.
        self.folder = Path(tempfile.mkdtemp(prefix="wsup-pooler-"))
        self.dsn = make_conninfo(database, host=str(self.folder), port=PORT, hostaddr=None)
        names = ("host", "port", "user", "password")
        server = " ".join(f"{n}={self._server[n]}" for n in names if n in self._server)
        config = CONFIG.format(server=server, port=PORT, folder=self.folder)
        (self.folder / "ini").write_text(config)
        host = Path(str(self._server.get("host", "")))
        self._uid = host.stat().st_uid if host.is_absolute() else os.geteuid() or 65534
        os.chown(self.folder, self._uid, -1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Pooler":
        assert PROGRAM is not None
        root = os.geteuid() == 0
        self._process = subprocess.Popen(
            [PROGRAM, "-q", str(self.folder / "ini")],
            user=self._uid if root else None,
            extra_groups=[] if root else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers, "PgBouncer answers")
        return self

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """At once, with all its connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
