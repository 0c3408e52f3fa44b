"""A password in a connection string is nobody's business: not of logs, ps, statuses, errors."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from running import Supervisor, enqueue, finished, until

Connection = psycopg.Connection[Any]
Make = Callable[..., Supervisor]

#: What would betray it, however it is quoted. Another process that tests at the same time has
#: another one: what it starts shows it for as long as Python takes to start.
CLUES = (f"s3cr3t{os.getpid()}", f"h4lf{os.getpid()}")
PASSWORD = "/ü 'p@ss:".join(CLUES)


def as_pairs(database: str, **others: str) -> str:
    return make_conninfo(database, password=PASSWORD, **others)


def as_uri(database: str, **others: str) -> str:
    parts = {**conninfo_to_dict(database), **others}
    user, name = parts.pop("user", "postgres"), parts.pop("dbname", "postgres")
    rest = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in parts.items())
    return f"postgresql://{user}:{quote(PASSWORD, safe='')}@/{name}?{rest}"


FORMS = pytest.mark.parametrize("form", [as_pairs, as_uri])


def betrayed(*texts: str) -> list[str]:
    return [text for text in texts if any(clue in text for clue in CLUES)]


def command_lines() -> list[str]:
    """Of every process on this machine."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().decode(errors="replace"))
        except OSError:
            continue  # it has ended
    return found


@FORMS
def test_a_running_supervisor_keeps_it(
    form: Callable[[str], str], make_supervisor: Make, connection: Connection, database: str
) -> None:
    flags = ("--subworkers", "2", "--log-level", "debug")
    supervisor = make_supervisor(*flags, database=form(database)).start()
    finished(connection, enqueue(connection, "fail"), enqueue(connection, "die"))
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    supervisor.wait_for("connected again")
    supervisor.send(signal.SIGUSR1)
    supervisor.wait_for("is here:")
    status = json.dumps([supervisor.ask("status"), supervisor.ask("reload"), supervisor.ask("?")])
    assert json.loads(status)[0]["status"]["database"]
    lines = command_lines()
    assert any("--database" in line and database.split("dbname=")[1][:10] in line for line in lines)
    assert betrayed(*lines) == []
    left = [file.read_text() for file in (supervisor.folder / "run").glob("*.pid")]
    stored = connection.execute(
        "SELECT (SELECT json_agg(s) FROM wsup.supervisor s)::text,"
        "       (SELECT json_agg(f) FROM wsup.failure f)::text,"
        "       (SELECT json_agg(a) FROM pg_stat_activity a)::text"
    ).fetchone()
    assert supervisor.stop() == 0
    assert betrayed(supervisor.log, status, *left, *(stored or ())) == []


@FORMS
@pytest.mark.parametrize(
    "command",
    [
        ("start", "--app", "tasks:app", "--connect-tries", "2"),
        ("migrate", "--connect-tries", "2"),
        ("jobs", "list"),
        ("enqueue", "a", "{}"),
        ("config", "show"),
        ("config", "check"),
    ],
)
def test_errors_keep_it(
    command: tuple[str, ...], form: Callable[..., str], database: str, tmp_path: Path
) -> None:
    nowhere = form(database, host=str(tmp_path))
    flags = () if command[0] == "config" else ("--database", nowhere)
    ended = subprocess.run(
        [sys.executable, "-m", "wsup", *command, *flags],
        cwd=tmp_path,
        env={**os.environ, "WSUP_DATABASE": nowhere},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == (0 if command[0] == "config" else 2), ended.stderr
    assert betrayed(ended.stdout, ended.stderr) == []
    assert "***" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_control_socket_is_its_owners_whatever_the_umask(make_supervisor: Make) -> None:
    before = os.umask(0)
    try:
        supervisor = make_supervisor("--subworkers", "1").launch()
    finally:
        os.umask(before)
    supervisor.wait_for("ready:")
    socket = supervisor.folder / "run" / "wsup.sock"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    others = [p for p in (supervisor.folder / "run").iterdir() if p.stat().st_mode & 0o022]
    assert others == []


def test_the_arguments_are_blotted_out_in_place(tmp_path: Path) -> None:
    """Those of a process of ours that waits: its memory is not damaged by that."""
    pipe = tmp_path / "wsup.toml"
    os.mkfifo(pipe)
    arguments = ["jobs", "list", "--config", str(pipe), f"--database=postgresql://u:{CLUES[0]}@h/d"]
    process = subprocess.Popen(
        [sys.executable, "-m", "wsup", *arguments], stderr=subprocess.PIPE, text=True
    )
    try:
        shown = Path(f"/proc/{process.pid}/cmdline")
        until(lambda: "***" in shown.read_text(), "the password is hidden")
        told = shown.read_text().rstrip("\0").split("\0")
        assert [argument.rstrip() for argument in told[3:]] == [
            *arguments[:-1],
            "--database=postgresql://u:***@h/d",
        ]
        pipe.write_text("subworkers = 'x'")
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 2
    assert f"{pipe}: subworkers" in error
