"""Real supervisors for real crashes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Supervisor
from servers import OwnServer

Start = Callable[..., Supervisor]

APP = Path(__file__).with_name("app_under_test.py")
COPIED = [Path(__file__).with_name(name) for name in ("hostile.py", "poison.py", "cancellable.py")]


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
def make_supervisor(database: str, tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    """Makes supervisors that run the app under test, each with a folder of its own, or the
    "hostile:sync" or "hostile:both" one, or one of the cancellable tasks."""
    made: list[Supervisor] = []

    def make(*flags: str, database: str = database, app: str = "tasks:app") -> Supervisor:
        folder = tmp_path / f"host{len(made)}"
        folder.mkdir()
        (folder / "tasks.py").write_text(APP.read_text())
        for file in COPIED:
            (folder / file.name).write_text(file.read_text())
        supervisor = Supervisor(database, folder, app, *flags)
        made.append(supervisor)
        return supervisor

    yield make
    for supervisor in made:
        supervisor.kill()
        print(supervisor.log)  # shown if the test has failed


@pytest.fixture(params=["sync", "both"])
def hostile(request: pytest.FixtureRequest, make_supervisor: Callable[..., Supervisor]) -> Start:
    """Starts a supervisor of the hostile tasks: in an app of sync ones only, and in a mixed one."""
    return lambda *flags: make_supervisor(*flags, app=f"hostile:{request.param}").start()


@pytest.fixture
def hostile_sync(make_supervisor: Callable[..., Supervisor]) -> Start:
    """Starts one of the sync tasks only, which all run in one thread."""
    return lambda *flags: make_supervisor(*flags, app="hostile:sync").start()


@pytest.fixture
def hostile_both(make_supervisor: Callable[..., Supervisor]) -> Start:
    """Starts one of sync and async tasks: the sync ones run beside a loop."""
    return lambda *flags: make_supervisor(*flags, app="hostile:both").start()


@pytest.fixture
def supervisor(make_supervisor: Callable[..., Supervisor]) -> Supervisor:
    """One supervisor with two subworkers, ready."""
    return make_supervisor("--subworkers", "2").start()
