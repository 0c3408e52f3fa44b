"""`wsup systemd-unit`: a unit that fits this machine and this app."""

import re
from pathlib import Path

import pytest
from shell import wsup

from wsup.cli import systemd

pytestmark = pytest.mark.usefixtures("empty_folder")


def unit(*args: str) -> dict[str, str]:
    result = wsup("systemd-unit", *args)
    assert result.exit_code == 0, result.output
    assert re.search("@[A-Z_]+@", result.stdout) is None
    lines = (line.partition("=") for line in result.stdout.splitlines() if line[:1].isalpha())
    return {key: value for key, _, value in lines}


def test_the_unit_is_filled_in(tmp_path: Path) -> None:
    lines = unit("--app", "a.b:c", "--user", "www-data")
    assert lines["User"] == "www-data"
    assert lines["WorkingDirectory"] == str(tmp_path)
    assert lines["ExecStart"].endswith(" start --app a.b:c")
    assert Path(lines["ExecStart"].split()[0]).is_absolute()
    assert lines["TimeoutStopSec"] == "45"
    assert lines["KillMode"] == "mixed"
    assert lines["OOMPolicy"] == "continue"  # or systemd would stop all for one subworker
    assert lines["WatchdogSec"] == "90"


def test_the_unit_of_a_server() -> None:
    lines = unit("--user", "wsup", "--serve", "--bind 10.0.0.1:8443 --keys '/etc/wsup/my keys'")
    assert lines["ExecStart"].endswith(' serve --bind 10.0.0.1:8443 --keys "/etc/wsup/my keys"')
    assert lines["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_the_unit_of_another_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a 100% b"
    folder.mkdir()
    (folder / "wsup.toml").write_text('app = "a:b"\ngrace = 60')
    lines = unit("--dir", str(folder))
    assert lines["WorkingDirectory"] == f"{tmp_path}/a 100%% b"
    assert lines["ExecStart"].endswith(" start")
    assert lines["TimeoutStopSec"] == "75"
    lines = unit("--config", str(folder / "wsup.toml"))
    assert lines["ExecStart"].endswith(f' --config "{tmp_path}/a 100%% b/wsup.toml"')


@pytest.mark.parametrize(
    ("version", "reload"), [(253, None), (252, "/bin/kill -HUP $MAINPID"), (None, "/bin/kill")]
)
def test_the_unit_fits_this_systemd(
    version: int | None, reload: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "_systemd_version", lambda: version)
    lines = unit("--app", "a:b")
    if reload is None:
        assert lines["Type"] == "notify-reload"
        assert "ExecReload" not in lines
    else:
        assert lines["Type"] == "notify"
        assert lines["ExecReload"].startswith(reload)


def test_the_unit_of_no_app_is_printed_with_a_remark() -> None:
    assert "no app is named" in wsup("systemd-unit", "--user", "daemon").stderr


def test_root_is_advised_against() -> None:
    told = "wsup: it would run your tasks as root: give --user NAME\n"
    assert wsup("systemd-unit", "--app", "a:b", "--user", "root").stderr == told
    assert wsup("systemd-unit", "--app", "a:b", "--user", "daemon").stderr == ""
