"""The two hosts of docs/http.md, by the commands that stand there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rooted import ROOT, import_from_root
from running import Supervisor, until

import_from_root("soak")

from soak.network import Machine, Network, NoNetworkError  # noqa: E402

PAGE = (ROOT / "docs" / "http.md").read_text()
#: The language, the comment in the first line, and the rest.
BLOCK = re.compile(r"^```(python|sh)\n# ([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = {comment: text for _, comment, text in BLOCK.findall(PAGE)}


class Terminal(Supervisor):
    """A shell on one of the hosts."""

    def __init__(self, machine: Machine, folder: Path, text: str) -> None:
        super().__init__("", folder, "")
        self.within = machine.within
        lines = text.rstrip().splitlines()
        # What the last line starts takes the shell's place, so that its end is that of both.
        self.command = ["bash", "-ec", "\n".join([*lines[:-1], f"exec {lines[-1]}"])]


@pytest.fixture
def network() -> Iterator[Network]:
    try:
        network = Network(2, "10.0.0.1")
    except NoNetworkError as refused:
        pytest.skip(str(refused))
    yield network
    network.remove()


@pytest.mark.slow
def test_the_two_hosts(
    network: Network, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("WSUP_DATABASE", raising=False)
    one, two = network.machines
    here, there = tmp_path / "one", tmp_path / "two"
    for folder in (here, there):
        folder.mkdir()
        (folder / "shop.py").write_text(BLOCKS["shop.py"])
    server = Terminal(one, here, BLOCKS["on 10.0.0.1"])
    host = Terminal(two, there, BLOCKS["on 10.0.0.2"])
    try:
        server.start(WSUP_DATABASE=empty_database)
        for name in ("host2.token", "server.crt"):
            shutil.copy(here / name, there)
        host.start()
        until(lambda: "succeeded" in asked(one, here, empty_database), "the job has succeeded")
    finally:
        for terminal in (host, server):
            terminal.stop()
            print(terminal.log)


def asked(machine: Machine, folder: Path, database: str) -> str:
    """What the other terminal says in the end."""
    done = subprocess.run(
        [*machine.within, "bash", "-ec", BLOCKS["on 10.0.0.1, too"]],
        cwd=folder,
        env={**os.environ, "WSUP_DATABASE": database},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
