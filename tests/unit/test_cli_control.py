"""stop, reload, pause, resume and status against a process that poses as a supervisor."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from shell import complaint, wsup

from wsup.cli.control import NoSupervisor, ask, supervisor_pid
from wsup.config.errors import WsupError

#: Holds the pid file, answers on the socket what argv says, and notes signals on stdout.
IMPOSTOR = """
import fcntl, json, os, signal, socket, sys
answers, deaf = json.loads(sys.argv[1]), sys.argv[2] == "deaf"
def say(word):
    os.write(1, word.encode() + b"\\n")  # print can't be entered again by a handler
def on_signal(number, frame):
    say(signal.Signals(number).name)
    if not deaf:
        sys.exit(0)
signal.signal(signal.SIGTERM, on_signal)
signal.signal(signal.SIGINT, on_signal)
file = open("wsup.pid", "w")
fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
file.write(json.dumps({"pid": os.getpid()}) + "\\n")
file.flush()
server = socket.socket(socket.AF_UNIX)
server.bind("wsup.sock")
server.listen()
say("ready")
while True:
    client, _ = server.accept()
    for line in client.makefile("rb"):
        answer = answers.get(json.loads(line)["verb"])
        if answer == "silence":
            continue
        if answer is None:
            break
        client.sendall(answer.encode() + b"\\n")
    client.close()
"""


class Impostor:
    """A process in `folder` that a command takes for the supervisor."""

    def __init__(self, folder: Path, answers: dict[str, str], mode: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", IMPOSTOR, json.dumps(answers), mode],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.says: IO[str] = self.process.stdout
        assert self.says.readline() == "ready\n"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.says.close()


@pytest.fixture
def folder(empty_folder: Path) -> Path:
    """The run directory that a command looks into."""
    return empty_folder / ".wsup"


class Casting:
    def __init__(self) -> None:
        self.cast: list[Impostor] = []

    def __call__(self, folder: Path, *, mode: str = "", **answers: str) -> Impostor:
        self.cast.append(Impostor(folder, answers, mode))
        return self.cast[-1]


@pytest.fixture
def pose() -> Iterator[Casting]:
    casting = Casting()
    yield casting
    for impostor in casting.cast:
        impostor.end()


# stop ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["stop", "reload", "pause", "resume", "status"])
def test_no_supervisor(command: str, folder: Path) -> None:
    assert f"no supervisor runs here ({folder}/wsup.pid)" in complaint(command, code=2)
    folder.mkdir()
    # A pid file that nobody locks: its supervisor is dead, and the pid is anybody's.
    (folder / "wsup.pid").write_text(json.dumps({"pid": os.getpid()}))
    assert "no supervisor runs here" in complaint(command, code=2)


@pytest.mark.parametrize(("flags", "name"), [((), "SIGTERM"), (("--now",), "SIGINT")])
def test_stop_waits_until_it_is_gone(
    flags: tuple[str, ...], name: str, folder: Path, pose: Casting
) -> None:
    impostor = pose(folder)
    assert supervisor_pid(folder) == impostor.process.pid
    result = wsup("stop", *flags)
    assert result.output == f"stopped {impostor.process.pid}\n"
    assert result.exit_code == 0
    assert impostor.process.poll() is not None
    assert impostor.says.read() == f"{name}\n"
    assert supervisor_pid(folder) is None


def test_stop_gives_up_after_its_timeout(folder: Path, pose: Casting) -> None:
    impostor = pose(folder, mode="deaf")
    told = complaint("stop", "--timeout", "0.01", code=1)
    assert f"the supervisor {impostor.process.pid} still runs after 0.01 s" in told
    assert "--now" in told
    assert impostor.says.readline() == "SIGTERM\n"


def test_stop_in_another_folder(folder: Path, pose: Casting, tmp_path: Path) -> None:
    pose(tmp_path / "elsewhere")
    assert wsup("stop").exit_code == 2
    assert wsup("stop", "--run-dir", "elsewhere").exit_code == 0


def test_a_pid_file_that_is_just_being_written(folder: Path, pose: Casting) -> None:
    pose(folder)
    (folder / "wsup.pid").write_text("")
    with pytest.raises(WsupError, match="holds no pid"):
        supervisor_pid(folder)


# the socket ---------------------------------------------------------------------------------------


def test_pause_resume_and_reload(folder: Path, pose: Casting) -> None:
    yes = '{"ok": true, "generation": 4}'
    pose(folder, pause=yes, resume=yes, reload=yes)
    assert wsup("pause").output == "paused\n"
    assert wsup("resume").output == "resumed\n"
    assert wsup("reload").output == "reloaded: generation 4\n"


def test_a_reload_that_fails(folder: Path, pose: Casting) -> None:
    pose(folder, reload='{"ok": false, "error": "not reloaded"}')
    assert complaint("reload", code=1) == "wsup: not reloaded\n"


def test_a_traceback_is_shown_above_the_one_line(folder: Path, pose: Casting) -> None:
    error = 'app can\'t be imported:\nTraceback:\n  File "x"\nSyntaxError: \x1b[31m\n'
    pose(folder, reload=json.dumps({"ok": False, "error": error}))
    result = wsup("reload")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        *("Traceback:", '  File "x"', r"SyntaxError: \x1b[31m"),
        r"wsup: app can't be imported: SyntaxError: \x1b[31m",
    ]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"reload": "silence"}, "did not answer reload within 0.05 s"),
        ({}, "ended before it answered reload"),
        ({"reload": "x"}, "is not JSON"),
        ({"reload": "[]"}, "ended before it answered"),
        ({"reload": "{}"}, "refused reload"),
    ],
)
def test_an_answer_that_is_none(
    answers: dict[str, str], told: str, folder: Path, pose: Casting
) -> None:
    pose(folder, **answers)
    assert told in complaint("reload", "--timeout", "0.05", code=1)


def test_a_path_longer_than_a_socket_may_have(tmp_path: Path, pose: Casting) -> None:
    folder = tmp_path / ("x" * 120)
    pose(folder, pause='{"ok": true}')
    assert ask(folder, "pause") == {"ok": True}
    with pytest.raises(NoSupervisor):
        ask(folder / "y", "pause")


def test_status(folder: Path, pose: Casting) -> None:
    pose(folder, status='{"ok": true, "status": {"host": "é"}}')
    assert wsup("status", "--json").output == '{"host": "é"}\n'
