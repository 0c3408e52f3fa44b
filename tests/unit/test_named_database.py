"""Which database is meant, and that no message tells its password."""

import re
from pathlib import Path

import pytest

from wsup.config import embedded
from wsup.config.database import (
    EMBEDDED_ROOT,
    LIBPQ_VARIABLES,
    checked,
    described,
    is_embedded,
    resolve,
    resolve_or_embed,
)
from wsup.config.embedded import EmbeddedError
from wsup.config.errors import ConfigError, DatabaseError
from wsup.config.loading import load
from wsup.config.redaction import redacted

SECRET = "geheim"


pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://u:{SECRET}@h/x",
        f"postgresql://u:a@b:/{SECRET}@h:5432/x?sslmode=require",
        f"postgresql://:{SECRET}@h/x",
        f"postgres//u:{SECRET}@h",
        f"u:{SECRET}@h/x",
        f"postgresql:///x?user=u&password={SECRET}",
        f"host=h password={SECRET} dbname=x",
        f"host=h password = '{SECRET} it\\'s {SECRET}' dbname=x",
        f"host=h password='never closed {SECRET}",
        f"host=h sslpassword={SECRET}",
        f"host=h oauth_client_secret={SECRET}",
    ],
)
def test_no_password_leaks_however_it_is_written(dsn: str) -> None:
    assert SECRET not in redacted(dsn)
    assert "***" in redacted(dsn)
    try:
        told = checked(dsn).replace(dsn, "")
    except ConfigError as error:
        told = str(error)
    assert SECRET not in told


@pytest.mark.parametrize(
    "dsn", ["postgresql://u@[::1]:5432/x", "host=/run/a dbname=x", "service=x", ""]
)
def test_what_holds_no_password_stays_as_it_is(dsn: str) -> None:
    assert redacted(dsn) == dsn
    assert checked(dsn) == dsn


@pytest.mark.parametrize(
    ("dsn", "remedy"),
    [
        ("postgresql+asyncpg://u@h/x", "names a driver"),
        ("mysql://u@h/x", "use postgresql://"),
        ("hots=h", 'invalid connection option "hots"'),
        (f"postgresql://u:{SECRET}@{SECRET}@h/x", "%40"),
        (f"postgresql://u:{SECRET}/{SECRET}@h/x", "%2F"),
        (f"postgresql://u:%zz{SECRET}@h/x", "use postgresql://"),
    ],
)
def test_a_malformed_connection_string_brings_a_remedy(dsn: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(remedy)) as caught:
        resolve(dsn)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


class FakeServer:
    """An embedded server that starts no process."""

    dsn = "host=/embedded"
    data_dir = Path("data")
    up, installed, broken, stopped = False, True, False, False

    def __init__(self, root: Path) -> None:
        assert root == Path(".wsup")

    @classmethod
    def available(cls) -> bool:
        return cls.installed

    def running(self) -> bool:
        return self.up

    def start(self) -> bool:
        if self.broken:
            raise EmbeddedError("it is broken")
        return not self.up


@pytest.fixture
def embedding(monkeypatch: pytest.MonkeyPatch) -> type[FakeServer]:
    class Server(FakeServer):
        pass

    monkeypatch.setattr(embedded, "EmbeddedServer", Server)
    return Server


def test_a_named_database_is_taken(
    embedding: type[FakeServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "h")
    assert resolve("dbname=a") == "dbname=a"
    assert resolve_or_embed("dbname=a") == ("dbname=a", None)
    Path("wsup.toml").write_text('database = "dbname=b"')
    assert resolve(None) == "dbname=b"
    monkeypatch.setenv("WSUP_DATABASE", "dbname=c")
    assert resolve(None) == "dbname=c"
    assert described(None) == "dbname=c"


def test_a_file_is_asked_instead_of_wsup_toml() -> None:
    Path("wsup.toml").write_text('database = "dbname=b"')
    Path("a.toml").write_text('database = "dbname=a"')
    assert resolve(None, Path("a.toml")) == "dbname=a"


@pytest.mark.parametrize("name", LIBPQ_VARIABLES)
def test_then_libpq_is_left_to_its_variables(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    assert resolve(None) == ""
    assert resolve_or_embed(None) == ("", None)
    assert "libpq" in described(None)


def test_then_the_embedded_server_while_it_runs(embedding: type[FakeServer]) -> None:
    Path(".wsup").mkdir()
    embedding.up = True
    assert resolve(None) == "host=/embedded"
    assert resolve_or_embed(None) == ("host=/embedded", None)
    assert "embedded" in described(None)
    assert is_embedded("host=/embedded")
    assert not is_embedded("host=/other")
    assert not is_embedded("")


def test_then_it_is_started_where_that_is_wanted(embedding: type[FakeServer]) -> None:
    with pytest.raises(ConfigError, match="no database is named: use --database"):
        resolve(None)
    assert "not started yet" in described(None)
    dsn, started = resolve_or_embed(None)
    assert dsn == "host=/embedded"
    assert isinstance(started, embedding)


def test_an_embedded_server_that_is_down(embedding: type[FakeServer]) -> None:
    Path(".wsup").mkdir()
    Path("data").mkdir()
    with pytest.raises(ConfigError, match=r"the embedded one in \.wsup is down: it runs"):
        resolve(None)


def test_nothing_named_and_nothing_installed(embedding: type[FakeServer]) -> None:
    embedding.installed = False
    for ask in (resolve, resolve_or_embed, described):
        with pytest.raises(ConfigError, match=r"pip install 'wsup\[embedded\]'"):
            ask(None)


def test_an_embedded_server_that_does_not_start(embedding: type[FakeServer]) -> None:
    embedding.broken = True
    with pytest.raises(DatabaseError, match="it is broken"):
        resolve_or_embed(None)


def test_the_embedded_root_is_the_default_run_dir() -> None:
    assert str(EMBEDDED_ROOT) == load({}).run_dir
