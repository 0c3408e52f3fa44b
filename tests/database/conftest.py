"""The database alone: no supervisor runs here."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import shell

from wsup import App

sys.path.insert(0, str(Path(__file__).parent))


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
