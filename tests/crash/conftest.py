"""Real supervisors for real crashes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Supervisor

APP = Path(__file__).with_name("app_under_test.py")


@pytest.fixture
def make_supervisor(database: str, tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    """Makes supervisors that run the app under test, each with a folder of its own."""
    made: list[Supervisor] = []

    def make(*flags: str, database: str = database) -> Supervisor:
        folder = tmp_path / f"host{len(made)}"
        folder.mkdir()
        (folder / "tasks.py").write_text(APP.read_text())
        supervisor = Supervisor(database, folder, "tasks:app", *flags)
        made.append(supervisor)
        return supervisor

    yield make
    for supervisor in made:
        supervisor.kill()
        print(supervisor.log)  # shown if the test has failed


@pytest.fixture
def supervisor(make_supervisor: Callable[..., Supervisor]) -> Supervisor:
    """One supervisor with two subworkers, ready."""
    return make_supervisor("--subworkers", "2").start()
