"""The unit file as systemd's own tools judge it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from wsup.cli import main

if shutil.which("systemd-analyze") is None:
    pytest.skip("systemd-analyze is not installed (Debian: systemd)", allow_module_level=True)

#: What wsup lives on, beside what every Python program calls.
NEEDED = {
    "eventfd2",
    "flock",
    "kill",
    "memfd_create",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "prlimit64",
    "rt_sigqueueinfo",
    "sched_setscheduler",
    "setpgid",
    "waitid",
}


def analyze(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *args], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The unit for an app in an empty folder."""
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(main, ["systemd-unit", "--app", "a:b", "--user", "daemon"])
    assert printed.exit_code == 0, printed.output
    file = tmp_path / "wsup.service"
    file.write_text(printed.stdout)
    return file


def test_systemd_understands_every_line(unit: Path) -> None:
    found = analyze("verify", "--man=no", str(unit))
    ours = [line for line in found.stderr.splitlines() if "wsup.service" in line]
    assert (found.returncode, ours) == (0, [])


def test_its_exposure_is_ok(unit: Path) -> None:
    found = analyze("security", "--offline=true", "--threshold=40", str(unit))
    if "unrecognized option" in found.stderr:
        pytest.skip("this systemd-analyze can't judge a file (--offline: from systemd 250 on)")
    overall = re.search(r"Overall exposure level for wsup.service: ([\d.]+) (\w+)", found.stdout)
    assert overall is not None, found.stdout + found.stderr
    assert float(overall[1]) < 4
    assert overall[2] == "OK"
    assert found.returncode == 0


def test_it_allows_the_calls_that_wsup_makes(unit: Path) -> None:
    (filters,) = re.findall(r"^SystemCallFilter=(.*)$", unit.read_text(), re.MULTILINE)
    groups = _groups(analyze("syscall-filter").stdout)
    allowed = _expanded(groups, filters.split())
    assert allowed >= NEEDED
    assert "mount" not in allowed


def _groups(listing: str) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for line in listing.splitlines():
        if line.startswith("@"):
            members = groups[line.strip()] = []
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.append(line.strip())
    return groups


def _expanded(groups: dict[str, list[str]], names: list[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        found |= _expanded(groups, groups[name]) if name.startswith("@") else {name}
    return found
