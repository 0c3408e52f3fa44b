"""A real supervisor in a process of its own, as the tests see it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

#: Seconds after which something that should have happened has not.
PATIENCE = 20.0
#: Supervisors are served; they know their database, too, for what tasks enqueue.
OVER_HTTP = os.environ.get("WSUP_TEST_OVER") == "http"


class Supervisor:
    """`wsup start` on `database`, running the app at `app` in `folder`."""

    def __init__(self, database: str, folder: Path, app: str, *flags: str) -> None:
        self.folder = folder
        self.database = database
        self.command = [
            sys.executable, "-m", "wsup", "start", "--app", app, "--database", database,
            "--run-dir", str(folder / "run"), *flags,
        ]  # fmt: skip
        #: What runs the command: a network namespace, say.
        self.within: list[str] = []
        self.lines: list[str] = []
        self._heard = threading.Condition()
        self.process: subprocess.Popen[str] | None = None

    def start(self, **environment: str) -> "Supervisor":
        """Start it and wait until it is ready."""
        return self.launch(**environment).wait_for("ready:")

    def launch(self, **environment: str) -> "Supervisor":
        self.process = subprocess.Popen(
            [*self.within, *self.command],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.lines = []
        threading.Thread(target=self._listen, args=(self.process, self.lines), daemon=True).start()
        return self

    def _listen(self, process: "subprocess.Popen[str]", lines: list[str]) -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                with self._heard:
                    lines.append(line)
                    self._heard.notify_all()
        with self._heard:
            lines.append("<end of log>\n")
            self._heard.notify_all()

    def wait_for(self, text: str, times: int = 1) -> "Supervisor":
        """Wait for a line of its log that has `text` in it."""
        deadline = time.monotonic() + PATIENCE
        with self._heard:
            while sum(text in line for line in self.lines) < times:
                left = deadline - time.monotonic()
                if "<end of log>\n" in self.lines or not self._heard.wait(max(left, 0)):
                    raise AssertionError(f"no {text!r} in the log:\n{self.log}")
        return self

    @property
    def log(self) -> str:
        return "".join(self.lines)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def send(self, signum: signal.Signals) -> None:
        os.kill(self.pid, signum)

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Have it stop; returns its exit code."""
        if self.process is not None and self.process.poll() is None:
            self.send(signum)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end, which is near; returns its exit code."""
        return self.process.wait(PATIENCE) if self.process is not None else 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def ask(self, verb: str) -> dict[str, Any]:
        """Ask over the control socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(self.folder / "run" / "wsup.sock"))
            sock.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            reply: dict[str, Any] = json.loads(sock.makefile().readline())
            return reply

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.ask("status")["status"]
        return status

    def subworker_pids(self) -> list[int]:
        return [member["pid"] for member in self.status()["subworkers"]]


def until(condition: Callable[[], Any], what: str = "", patience: float = PATIENCE) -> Any:
    """Ask again and again until the answer is true; returns it."""
    deadline, pause = time.monotonic() + patience, 0.002
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {patience:g} s: {what}")
        time.sleep(pause)
        pause = min(0.05, pause * 1.3)  # what takes long is asked for less often
    return answer


def enqueue(connection: "psycopg.Connection[Any]", task: str, **args: object) -> int:
    row = connection.execute(
        "SELECT wsup.enqueue(%s, %s::jsonb)", [task, json.dumps(args)]
    ).fetchone()
    assert row is not None
    return int(row[0])


def state(connection: "psycopg.Connection[Any]", job: int) -> str | None:
    row = connection.execute("SELECT wsup.status(%s)", [job]).fetchone()
    assert row is not None
    return None if row[0] is None else str(row[0])


def sleepers(connection: "psycopg.Connection[Any]") -> int:
    """How many supervisors want to be called: they have looked, and found nothing to pull."""
    return connection.execute("SELECT FROM wsup.sleeper").rowcount


def all_asleep(connection: "psycopg.Connection[Any]", supervisors: int) -> bool:
    """Do all of them want to be called? A server sleeps for those whom it serves."""
    return sleepers(connection) == (1 if OVER_HTTP else supervisors)


def finished(
    connection: "psycopg.Connection[Any]", *jobs: int, patience: float = PATIENCE
) -> list[str | None]:
    """Wait until all of the jobs are over; returns their states."""
    over = {"succeeded", "failed", "cancelled", "expired"}
    until(
        lambda: all(state(connection, job) in over for job in jobs),
        f"jobs {jobs} are over",
        patience,
    )
    return [state(connection, job) for job in jobs]


def alive(pid: int) -> bool:
    """Is there such a process, other than as a zombie?"""
    return process_state(pid) not in ("", "Z")


def process_state(pid: int) -> str:
    """As ps shows it: R runs or wants to, S waits, Z is dead; "": there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def failures(connection: "psycopg.Connection[Any]", job: int) -> list[tuple[int, str, str]]:
    """The attempts of a job that failed: (attempt, type, message)."""
    return connection.execute(
        "SELECT attempt, type, message FROM wsup.failure WHERE job = %s ORDER BY attempt", [job]
    ).fetchall()


def result(connection: "psycopg.Connection[Any]", job: int) -> Any:
    """Wait until a job has succeeded; returns its result."""
    assert finished(connection, job) == ["succeeded"], failures(connection, job)
    row = connection.execute("SELECT result FROM wsup.outcome WHERE job = %s", [job]).fetchone()
    assert row is not None
    return row[0]


def enqueue_counts(connection: "psycopg.Connection[Any]", ledger: Path, n: int) -> list[int]:
    """Enqueue `n` jobs, each of which appends a line to the ledger; returns their ids."""
    rows = connection.execute(
        "INSERT INTO wsup.job (task, args)"
        " SELECT 'count', json_build_object('path', %s::text) FROM generate_series(1, %s)"
        " RETURNING id",
        [str(ledger), n],
    )
    return [row[0] for row in rows]


def runs(ledger: Path) -> "Counter[int]":
    """How often each job has run, by the ledger."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return Counter(int(line.split()[0]) for line in lines)


def all_over(connection: "psycopg.Connection[Any]", jobs: Sequence[int]) -> dict[str, int]:
    """Wait until all of these many jobs are over; returns how many ended how."""

    def outcomes() -> dict[str, int]:
        rows = connection.execute(
            "SELECT state::text, count(*) FROM wsup.outcome WHERE job = ANY (%s) GROUP BY 1",
            [list(jobs)],
        )
        return dict(rows.fetchall())

    until(lambda: sum(outcomes().values()) == len(jobs), f"{len(jobs)} jobs are over")
    return outcomes()
