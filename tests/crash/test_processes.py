"""Who is whose parent, what is imported where, and what is left when all is over."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from running import Supervisor, alive, enqueue, finished, until

import wsup.config
import wsup.sql
import wsup.subworkers
import wsup.supervisor

Connection = psycopg.Connection[Any]
DUMP_MODULES = """
import atexit, os, sys
atexit.register(
    lambda: open(f"{os.environ['DUMP_TO']}/{os.getpid()}", "w").write("\\n".join(sys.modules))
)
"""

#: Appended to an app's module.
HAZARDS = """
import socket, threading
threading.Thread(target=threading.Event().wait, name="ticker", daemon=True).start()
listener = socket.create_server(("127.0.0.1", 0))
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


def test_nothing_is_pickled_anywhere() -> None:
    parts = (wsup, wsup.config, wsup.sql, wsup.subworkers, wsup.supervisor)
    files = {file for part in parts for file in Path(str(part.__file__)).parent.rglob("*.py")}
    assert len(files) > 80
    picklers = re.compile(
        r"^\s*(from|import) (pickle|marshal|shelve|multiprocessing)", re.MULTILINE
    )
    assert [file for file in files if picklers.search(file.read_text())] == []


def test_subworkers_are_the_supervisors_children(
    supervisor: Supervisor, connection: Connection
) -> None:
    found = where(connection)
    assert found["parent"] == supervisor.pid
    assert found["group"] == found["pid"]  # Ctrl-C in the terminal reaches the supervisor alone
    assert found["imported_by"] not in (found["pid"], supervisor.pid)  # the template did


def test_none_of_them_has_anything_in_dev_shm(
    supervisor: Supervisor, connection: Connection
) -> None:
    """So nothing can be left there, whatever dies."""
    template = where(connection)["imported_by"]
    for pid in [supervisor.pid, template, *supervisor.subworker_pids()]:
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "/dev/shm" not in maps
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was open for a moment
                assert not str(link.readlink()).startswith("/dev/shm")
    # They do share memory: it has no name.
    assert "/memfd:" in Path(f"/proc/{supervisor.pid}/maps").read_text()


def test_nothing_is_left_after_a_stop(supervisor: Supervisor, connection: Connection) -> None:
    pids = supervisor.subworker_pids()
    finished(connection, *[enqueue(connection, "noop") for _ in range(20)])
    assert supervisor.stop() == 0
    assert not any(alive(pid) for pid in pids)
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


def test_what_tasks_have_started_ends_with_the_supervisor(
    make_supervisor: Callable[..., Supervisor], connection: Connection, tmp_path: Path
) -> None:
    """The subworkers die by the kernel's hand; their children must not go on without them."""
    supervisor = make_supervisor("--subworkers", "2").start()
    finished(connection, enqueue(connection, "die"))  # and its family is forgotten
    folder = tmp_path / "pids"
    folder.mkdir()
    for _ in range(2):
        enqueue(connection, "run_program", folder=str(folder))
    until(lambda: len(list(folder.iterdir())) == 2)
    supervisor.kill()
    until(lambda: not any(alive(int(file.name)) for file in folder.iterdir()), "gone, too", 2)


def test_a_second_supervisor_is_refused(supervisor: Supervisor) -> None:
    second = Supervisor(supervisor.database, supervisor.folder, "tasks:app").launch()
    assert second.process is not None
    assert second.process.wait(20) == 2
    assert f"the supervisor with pid {supervisor.pid} already runs here" in second.log
    assert "Traceback" not in second.log
    assert supervisor.status()["state"] == "running"


def test_what_does_not_survive_a_fork_is_told(
    make_supervisor: Callable[..., Supervisor], connection: Connection
) -> None:
    supervisor = make_supervisor("--subworkers", "1")
    tasks = supervisor.folder / "tasks.py"
    tasks.write_text(tasks.read_text() + HAZARDS)
    supervisor.start()
    supervisor.wait_for("thread 'ticker' was started while importing the app")
    supervisor.wait_for("is a socket opened while importing the app")
    assert supervisor.log.count("while importing the app") == 2


def test_the_apps_memory_is_shared_by_its_subworkers(
    supervisor: Supervisor, connection: Connection
) -> None:
    """No collector in a subworker touches what was imported, so that it stays on shared pages."""
    assert where(connection)["frozen"] > 10_000
