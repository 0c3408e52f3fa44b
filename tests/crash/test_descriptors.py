"""Who holds what: shared memory and its bells are a subworker's own, and nobody else's."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, finished, until

Connection = psycopg.Connection[Any]

TASKS = """
import subprocess, sys
from wsup import App

app = App()


@app.task(name="child")
def child() -> list[str]:
    look = "import os; fds = [f'/proc/self/fd/{n}' for n in os.listdir('/proc/self/fd')]"
    look += "; print([os.readlink(fd) for fd in fds if os.path.lexists(fd)])"
    return [subprocess.check_output([sys.executable, "-c", look], close_fds=False, text=True)]
"""


def descriptors(pid: int) -> Iterator[tuple[Path, str]]:
    """Each descriptor of a process, and where it leads; it may close one at any moment."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield link, str(link.readlink())


def memory_of(pid: int) -> set[str]:
    """The pieces of shared memory and the bells that a process holds or has mapped."""
    held = set()
    for link, target in descriptors(pid):
        if target.startswith("/memfd:"):
            held.add(f"memory {link.stat().st_ino}")
        elif target == "anon_inode:[eventfd]":
            about = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text()
            found = re.search(r"eventfd-id:\s*(\d+)", about)
            if found is None:
                pytest.skip("this kernel doesn't tell eventfds apart (eventfd-id: from 5.2 on)")
            held.add(f"bell {found[1]}")
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if "/memfd:wsup" in line:
            held.add(f"memory {line.split()[4]}")
    return held


def others(pid: int) -> list[str]:
    """Every other descriptor of a process that leads somewhere."""
    ours = ("/memfd:wsup", "anon_inode:[eventfd]")
    return [target for _, target in descriptors(pid) if not target.startswith(ours)]


def assert_apart(pids: list[int]) -> None:
    owners: dict[str, int] = {}
    for pid in pids:
        held = memory_of(pid)
        # The rings, the stacks, captured output (two), four bells; uvloop's own, with async tasks.
        assert len([name for name in held if name.startswith("memory")]) == 4, (pid, held)
        assert len([name for name in held if name.startswith("bell")]) >= 4, (pid, held)
        for name in held:
            assert owners.setdefault(name, pid) == pid, f"{name} is shared by {owners[name]}, {pid}"


def template_of(supervisor: Supervisor) -> int:
    """The supervisor's one child that is no subworker."""
    children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()
    (template,) = {int(child) for child in children} - set(supervisor.subworker_pids())
    return template


def test_no_subworker_holds_anothers_memory(
    make_supervisor: Callable[..., Supervisor], connection: Connection
) -> None:
    supervisor = make_supervisor("--subworkers", "4").start()
    assert_apart(supervisor.subworker_pids())
    first = set(supervisor.subworker_pids())

    finished(connection, enqueue(connection, "die"))  # two of them, one after the other
    until(lambda: len(supervisor.subworker_pids()) == 4, "the dead are replaced")
    until(lambda: len(first & set(supervisor.subworker_pids())) <= 3, "by others")
    until(
        lambda: all(m["state"] == "idle" for m in supervisor.status()["subworkers"]), "all are idle"
    )
    assert_apart(supervisor.subworker_pids())

    assert supervisor.ask("reload")["ok"]
    until(lambda: len(supervisor.subworker_pids()) == 4, "the old ones have gone")
    assert_apart(supervisor.subworker_pids())
    assert memory_of(template_of(supervisor)) == set()


def test_a_subworker_holds_nothing_of_the_supervisors(supervisor: Supervisor) -> None:
    theirs = {
        link for link in others(supervisor.pid) if link.startswith(("socket:", "anon_inode:"))
    }
    assert any(link.startswith("socket:") for link in theirs)
    for pid in [*supervisor.subworker_pids(), template_of(supervisor)]:
        held = others(pid)
        shared = {link for link in held if link in theirs and link.startswith("socket:")}
        assert shared == set()
        assert not any("wsup.pid" in link for link in held)


def test_what_a_task_starts_inherits_none_of_it(
    make_supervisor: Callable[..., Supervisor], connection: Connection
) -> None:
    supervisor = make_supervisor("--subworkers", "1")
    (supervisor.folder / "tasks.py").write_text(TASKS)
    supervisor.start()
    job = enqueue(connection, "child")
    assert finished(connection, job) == ["succeeded"]
    row = connection.execute("SELECT result::text FROM wsup.outcome").fetchone()
    assert row is not None
    assert "memfd" not in row[0]
    assert "eventfd" not in row[0]
    assert "socket" not in row[0]


def test_a_supervisor_lets_go_of_what_the_dead_have_left(
    make_supervisor: Callable[..., Supervisor], connection: Connection
) -> None:
    supervisor = make_supervisor("--subworkers", "2").start()
    before = len(memory_of(supervisor.pid))
    finished(connection, *[enqueue(connection, "die") for _ in range(3)])
    until(
        lambda: (
            all(m["state"] == "idle" for m in supervisor.status()["subworkers"])
            and len(memory_of(supervisor.pid)) == before
        ),
        "no more is held than before",
    )
