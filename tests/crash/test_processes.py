"""Who is whose parent, what is imported where, and what is left when all is over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from running import Supervisor, alive, enqueue, finished, until

Connection = psycopg.Connection[Any]
DUMP_MODULES = """
import atexit, os, sys
atexit.register(
    lambda: open(f"{os.environ['DUMP_TO']}/{os.getpid()}", "w").write("\\n".join(sys.modules))
)
"""


def where(connection: Connection) -> Any:
    job = enqueue(connection, "where")
    assert finished(connection, job) == ["succeeded"]
    row = connection.execute("SELECT result FROM wsup.outcome WHERE job = %s", [job]).fetchone()
    assert row is not None
    return row[0]


def test_the_supervisor_never_imports_user_code(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(DUMP_MODULES)
    supervisor = make_supervisor("--subworkers", "1").start(
        PYTHONPATH=str(tmp_path), DUMP_TO=str(tmp_path)
    )
    where(connection)
    assert supervisor.stop() == 0
    modules = (tmp_path / str(supervisor.pid)).read_text().split()
    assert "wsup.supervisor.run" in modules
    assert "tasks" not in modules
    assert "wsup.app" not in modules
    assert "pickle" not in modules


def test_subworkers_are_the_supervisors_children(
    supervisor: Supervisor, connection: Connection
) -> None:
    found = where(connection)
    assert found["parent"] == supervisor.pid
    assert found["group"] == found["pid"]  # Ctrl-C in the terminal reaches the supervisor alone
    assert found["imported_by"] not in (found["pid"], supervisor.pid)  # the template did


def test_nothing_is_left_after_a_stop(supervisor: Supervisor, connection: Connection) -> None:
    shared_before = set(Path("/dev/shm").iterdir())
    pids = supervisor.subworker_pids()
    finished(connection, *[enqueue(connection, "noop") for _ in range(20)])
    assert supervisor.stop() == 0
    assert not any(alive(pid) for pid in pids)
    assert set(Path("/dev/shm").iterdir()) <= shared_before
    assert list((supervisor.folder / "run").iterdir()) == []
    left = connection.execute(
        "SELECT (SELECT count(*) FROM wsup.supervisor), (SELECT count(*) FROM wsup.claim),"
        "       (SELECT count(*) FROM wsup.sleeper)"
    ).fetchone()
    assert left == (0, 0, 0)


def test_subworkers_die_with_their_supervisor(
    supervisor: Supervisor, connection: Connection, tmp_path: Path
) -> None:
    pids = supervisor.subworker_pids()
    started = tmp_path / "started"
    enqueue(connection, "wait_for_file", path=str(tmp_path / "never"), started=str(started))
    until(started.exists)
    supervisor.kill()
    until(lambda: not any(alive(pid) for pid in pids), "the subworkers are gone", 2)


def test_a_second_supervisor_is_refused(supervisor: Supervisor) -> None:
    second = Supervisor(supervisor.database, supervisor.folder, "tasks:app").launch()
    assert second.process is not None
    assert second.process.wait(20) == 2
    assert f"the supervisor with pid {supervisor.pid} already runs here" in second.log
    assert "Traceback" not in second.log
    assert supervisor.status()["state"] == "running"
