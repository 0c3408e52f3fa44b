"""The command line as a shell sees it: exit codes, and one line instead of a traceback."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell import complaint, wsup

from wsup.cli import main
from wsup.config import database as chosen
from wsup.config.keys import keys
from wsup.config.loading import load
from wsup.config.settings import Settings
from wsup.supervisor import run as supervisor

SECRET = "geheim"


@pytest.fixture(autouse=True)
def _without_embedded_server(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsup.config.embedded.EmbeddedServer.available", lambda *_: False)


def test_a_real_process_exits_with_2_and_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wsup", "start", "--subworkers", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "wsup: --subworkers 0: use a whole number from 1 to 512\n"


def test_the_version() -> None:
    assert re.fullmatch(r"wsup \d+\.\d+\.\d+\S*\n", wsup("--version").stdout)


def test_every_command_has_a_help_of_its_own() -> None:
    shown = wsup("--help").stdout
    for name in main.commands:
        assert f"\n  {name} " in shown
        assert wsup(name, "--help").exit_code == 0
    assert "..." not in shown.partition("Commands:")[2]


def test_every_setting_is_a_flag_of_start() -> None:
    shown = wsup("start", "--help").stdout
    assert all(f"--{key.replace('_', '-')} " in shown for key in keys())


def test_what_click_refuses_is_one_line_too() -> None:
    assert "No such option" in complaint("start", "--workers", "3")
    assert "wsup start --help" in complaint("start", "--workers", "3")
    assert "No such command" in complaint("begin")
    assert "'x' is not a valid job id" in complaint("jobs", "show", "x")
    assert "Missing argument" in complaint("enqueue")
    assert "--fast" in complaint("--fast")


def test_no_database_is_named() -> None:
    for command in (["migrate"], ["jobs", "list"], ["enqueue", "a.b"], ["config", "check"]):
        assert "no database is named: use --database" in complaint(*command)
    assert "no database is named" in complaint("start", "--app", "a:b")


def test_an_unreachable_database_is_tried_again_with_a_line_a_try() -> None:
    nowhere = f"postgresql://u:{SECRET}@localhost:1/x"
    result = wsup("migrate", "--database", nowhere, "--connect-tries", "2")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert "try 1 of 2" in lines[0]
    assert SECRET not in result.output


# start --------------------------------------------------------------------------------------------

Run = Callable[[Settings, str, Callable[[], Settings]], int]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, str, Callable[[], Settings]]]:
    """Stands in for the supervisor, and notes how it was called; it ends with exit code 3."""
    calls: list[tuple[Settings, str, Callable[[], Settings]]] = []

    def run(settings: Settings, dsn: str, reload: Callable[[], Settings]) -> int:
        calls.append((settings, dsn, reload))
        return 3

    monkeypatch.setattr(supervisor, "run", run)
    return calls


def test_start_without_an_app() -> None:
    assert "wsup start --app pkg.module:app" in complaint("start")
    assert "use pkg.module:attribute" in complaint("start", "--app", "module")


def test_start_hands_over_settings_and_a_way_to_read_them_again(runs: list[Any]) -> None:
    Path("wsup.toml").write_text('app = "a:b"\nsubworkers = 2\nbatch = 7')
    result = wsup("start", "--database", "dbname=x", "--batch", "9")
    assert result.exit_code == 3
    [(settings, origin, reload)] = runs
    assert origin.name == "dbname=x"
    assert settings == load({"database": "dbname=x", "batch": 9})
    assert settings.subworkers == 2
    Path("wsup.toml").write_text('app = "a:b"\nsubworkers = 3')
    assert (reload().subworkers, reload().batch) == (3, 9)


def test_start_tells_the_tasks_which_database_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def run(*_: object) -> int:
        told.append(subprocess.check_output(["printenv", "WSUP_DATABASE"], text=True))
        return 0

    monkeypatch.setattr(supervisor, "run", run)
    assert wsup("start", "--app", "a:b", "--database", "dbname=x").exit_code == 0
    monkeypatch.setenv("WSUP_DATABASE", "dbname=y")
    assert wsup("start", "--app", "a:b", "--database", "dbname=z").exit_code == 0
    assert told == ["dbname=x\n", "dbname=z\n"]
    assert os.environ["WSUP_DATABASE"] == "dbname=y"


def test_start_without_a_place_for_its_pid_file(runs: list[Any]) -> None:
    Path("file").touch()
    start = ["start", "--app", "a:b", "--database", "dbname=x", "--run-dir"]
    assert "run_dir = file" in complaint(*start, "file")
    assert "name another folder" in complaint(*start, "/proc/nowhere")
    assert runs == []


@pytest.mark.parametrize("end", [3, KeyboardInterrupt(), "TERM"])
def test_start_ends_the_embedded_server_that_it_started(
    end: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = []

    class Server:
        def stop(self) -> None:
            stopped.append(self)

    def run(*_: object) -> int:
        if end == "TERM":
            os.kill(os.getpid(), signal.SIGTERM)
        if isinstance(end, BaseException):
            raise end
        return 3

    monkeypatch.setattr(chosen, "resolve_or_embed", lambda *_: ("host=/embedded", Server()))
    monkeypatch.setattr(chosen, "is_embedded", lambda _: False)  # nothing to migrate
    monkeypatch.setattr(supervisor, "run", run)
    before = signal.getsignal(signal.SIGTERM)
    assert wsup("start", "--app", "a:b").exit_code != 0
    assert len(stopped) == 1
    assert signal.getsignal(signal.SIGTERM) is before


# config -------------------------------------------------------------------------------------------


def test_config_show_tells_who_gave_what() -> None:
    Path("wsup.toml").write_text("batch = 7")
    shown = wsup("config", "show", "--database", f"postgresql://u:{SECRET}@h/x").stdout
    assert re.search(r"^batch +7 +wsup.toml$", shown, re.MULTILINE)
    assert re.search(r'^database +"postgresql://u:\*\*\*@h/x" +flag$', shown, re.MULTILINE)
    assert SECRET not in shown
    assert '"source": "wsup.toml"' in wsup("config", "show", "--json").stdout


def test_config_check() -> None:
    result = wsup("config", "check", "--database", f"host=h password={SECRET}")
    assert result.exit_code == 0
    assert result.stdout == "the settings are right; database: host=h password=***\n"
    assert "hots" in complaint("config", "check", "--database", "hots=h")
    assert "there is no such file" in complaint("config", "check", "--config", "x.toml")


# demo ---------------------------------------------------------------------------------------------


def test_the_demo_names_the_extra_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wsup.demo", None)
    monkeypatch.setattr("wsup.cli.demo.EXTRA", ("wsup",))
    assert "pip install 'wsup[demo]'" in complaint("demo")
