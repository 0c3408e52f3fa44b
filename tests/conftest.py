"""One PostgreSQL for the session, and a migrated database for each test that asks for one."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
import road
import shell
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from running import OVER_HTTP, Supervisor
from servers import OwnServer
from serving import Server

from wsup import App
from wsup.config.database import LIBPQ_VARIABLES
from wsup.config.embedded import EmbeddedServer
from wsup.sql.migrate import migrate

# A thousand processes are started from these files: where no bytecode may be kept, each of them
# compiles all modules for itself, and each run rewrites the assertions of all tests again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# What they print waits in buffers, as it does where nobody has forbidden that.
os.environ.pop("PYTHONUNBUFFERED", None)

#: A server of your own to test against; its databases named wsup_test_* are dropped.
EXTERNAL = "WSUP_TEST_SERVER"
#: The folder of another PostgreSQL's programs, to make the server with.
PROGRAMS = "WSUP_TEST_PROGRAMS"
#: Its pid: several processes may share a server.
TEMPLATE = f"wsup_test_template_{os.getpid()}"
_numbers = count(1)
#: A file system in memory, and the bytes that have to be free there.
IN_MEMORY = Path("/dev/shm")
ROOM = 4 << 30
TABLESPACE = "wsup_test_memory"
#: The app that supervisors run if nothing else is said.
TASKS = Path(__file__).with_name("tasks.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = item.get_closest_marker("direct")
        if OVER_HTTP and mark is not None:
            item.add_marker(pytest.mark.skip(reason=mark.args[0]))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a server on which databases can be made and dropped."""
    if external := os.environ.get(EXTERNAL):
        yield external
        return
    programs = os.environ.get(PROGRAMS)
    embedded = EmbeddedServer(
        tmp_path_factory.mktemp("server"),
        bin_dir=Path(programs) if programs else None,
        # What a test writes need not survive the machine.
        settings={"fsync": "off", "full_page_writes": "off", "max_connections": "200"},
    )
    embedded.start()
    try:
        with _memory(embedded):
            yield embedded.dsn
    finally:
        embedded.stop()
        for folder in (embedded.data_dir.parent, embedded.socket_dir):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _memory(embedded: EmbeddedServer) -> Iterator[None]:
    """Where there is room, databases are in memory: they are made and dropped by the thousand, of
    300 files each, and before it gives an inode, ext4 looks at each that was freed lately."""
    if not IN_MEMORY.is_dir() or shutil.disk_usage(IN_MEMORY).free < ROOM:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="wsup-test-", dir=IN_MEMORY))
    owner = embedded.data_dir.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    with psycopg.connect(embedded.dsn, autocommit=True) as connection:
        connection.execute(
            SQL("CREATE TABLESPACE {} LOCATION {}").format(Identifier(TABLESPACE), str(folder))
        )
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def administrator(server: str) -> Iterator[psycopg.Connection]:
    """One connection for all databases that are made and dropped."""
    with psycopg.connect(server, autocommit=True) as made:
        yield made


@pytest.fixture(scope="session")
def template(server: str, administrator: psycopg.Connection) -> Iterator[str]:
    """The name of a migrated database, to be copied."""
    _recreate(administrator, TEMPLATE)
    in_memory = "SELECT FROM pg_tablespace WHERE spcname = %s"
    if administrator.execute(in_memory, [TABLESPACE]).rowcount:  # copies stay where this one is
        names = Identifier(TEMPLATE), Identifier(TABLESPACE)
        administrator.execute(SQL("ALTER DATABASE {} SET TABLESPACE {}").format(*names))
    with psycopg.connect(make_conninfo(server, dbname=TEMPLATE), autocommit=True) as connection:
        migrate(connection)
    yield TEMPLATE
    _drop(administrator, TEMPLATE)


@pytest.fixture
def make_database(
    server: str, administrator: psycopg.Connection
) -> Iterator[Callable[[str | None], str]]:
    """Makes databases, as copies of the one named; they are dropped after the test."""
    made: list[str] = []

    def make(template: str | None = None) -> str:
        name = f"wsup_test_{os.getpid()}_{next(_numbers)}"
        _recreate(administrator, name, template)
        made.append(name)
        return make_conninfo(server, dbname=name)

    yield make
    for name in made:
        _drop(administrator, name)


@pytest.fixture
def database(make_database: Callable[[str | None], str], template: str) -> str:
    """The DSN of a fresh, migrated database."""
    return make_database(template)


@pytest.fixture
def empty_database(make_database: Callable[[str | None], str]) -> str:
    """The DSN of a fresh database without anything in it."""
    return make_database(None)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    """A connection of the test's own to `database`, in autocommit."""
    with psycopg.connect(database, autocommit=True) as made:
        yield made


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an empty one, with nothing of wsup's in the environment."""
    monkeypatch.chdir(tmp_path)
    ours = [name for name in os.environ if name.startswith("WSUP_")]
    for name in (*LIBPQ_VARIABLES, "RUNTIME_DIRECTORY", *ours):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(params=["postgres", "http"])
def each_source(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test goes once with a source that is PostgreSQL itself, and once with a server's."""
    if request.param == "postgres":
        yield request.param
        return
    from served import http_source

    road.opening.append(http_source)
    yield request.param
    road.opening.pop()


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A directory short enough for a Unix socket's path."""
    return tmp_path


@pytest.fixture(scope="session")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A server for tests that stop it; each leaves it running."""
    server = OwnServer(tmp_path_factory.mktemp("own"))
    server.start()
    yield server
    server.remove()


@pytest.fixture
def own_database(own_server: OwnServer, request: pytest.FixtureRequest) -> str:
    """The DSN of a fresh, migrated database on that server."""
    return own_server.make_database(f"wsup_test_{abs(hash(request.node.nodeid))}")


@pytest.fixture
def make_supervisor(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Supervisor]]:
    """Makes supervisors that run an app, each in a folder of its own that has copies of tasks.py
    and of the modules beside the test."""
    made: list[Supervisor] = []
    servers: dict[str, Server] = {}
    beside = [
        p for p in request.path.parent.glob("*.py") if not p.name.startswith(("test_", "conf"))
    ]

    def make(*flags: str, database: str = database, app: str = "tasks:app") -> Supervisor:
        folder = tmp_path / f"host{len(made)}"
        folder.mkdir()
        for file in {TASKS, *beside}:
            shutil.copy(file, folder)
        if OVER_HTTP:
            if database not in servers:
                servers[database] = Server(database, tmp_path, *_listening(flags))
                servers[database].start()
            # One that is killed is known to be dead after its lease only.
            flags = ("--source", servers[database].url, "--lease", "5", *flags)
        supervisor = Supervisor(database, folder, app, *flags)
        made.append(supervisor)
        return supervisor

    yield make
    for process in (*made, *servers.values()):
        process.kill()
        print(process.log)  # shown if the test has failed


def _listening(flags: Sequence[str]) -> Sequence[str]:
    """What a supervisor's flags say of the direct connection: it is the server's then."""
    where = flags.index("--listen") if "--listen" in flags else len(flags)
    return flags[where : where + 2]


@pytest.fixture
def supervisor(make_supervisor: Callable[..., Supervisor]) -> Supervisor:
    """One supervisor with two subworkers, ready."""
    return make_supervisor("--subworkers", "2").start()


@pytest.fixture
def wsup(database: str, monkeypatch: pytest.MonkeyPatch) -> shell.Wsup:
    """The command line, with a database named."""
    monkeypatch.setenv("WSUP_DATABASE", database)
    return shell.wsup


@pytest.fixture
def enqueue(wsup: shell.Wsup) -> Callable[..., int]:
    """`wsup enqueue`, which prints the id of the job."""

    def run(*args: object) -> int:
        result = wsup("enqueue", *args)
        assert result.exit_code == 0, result.output
        return int(result.stdout)

    return run


@pytest.fixture
def app(database: str) -> Iterator[App]:
    """An app with a task to enqueue; nothing runs it."""
    app = App(database)

    @app.task(name="pay", queue="money", priority=3)
    def pay(order: int, note: str | None = "") -> None: ...

    yield app
    app.close()


def _recreate(administrator: psycopg.Connection, name: str, template: str | None = None) -> None:
    _drop(administrator, name)
    statement = SQL("CREATE DATABASE {}").format(Identifier(name))
    if template:
        # Files are copied faster than they are written to the log, where nothing is synced.
        statement += SQL(" TEMPLATE {} STRATEGY FILE_COPY").format(Identifier(template))
    administrator.execute(statement)


def _drop(administrator: psycopg.Connection, name: str) -> None:
    administrator.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
