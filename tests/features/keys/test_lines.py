"""Jobs that share a key, run by real supervisors: so many at once, in their order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lined_up import begun, most_at_once
from running import Supervisor, all_asleep, all_over, finished, sleepers, state, until

from wsup import App
from wsup.errors import DatabaseError

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def hosts(make_supervisor: MakeSupervisor) -> Callable[..., list[Supervisor]]:
    """Starts so many supervisors, of two subworkers each; no slow poll helps them."""

    def start(n: int, *flags: str, subworkers: int = 2) -> list[Supervisor]:
        flags = ("--subworkers", str(subworkers), "--poll", "60", *flags)
        return [make_supervisor(*flags, app="lined_up:app").start() for _ in range(n)]

    return start


@pytest.fixture
def work(database: str, ledger: Path) -> Any:
    """Enqueues `work`: of a key, and with options and arguments."""
    app = App(database)

    @app.task(name="work")
    def work(
        ledger: str, key: str, seconds: float = 0.0, until: str = "", how: str = ""
    ) -> None: ...

    def enqueue(key: str, limit: int | None = None, priority: int = 0, **args: Any) -> int:
        order = work.options(key=key, key_limit=limit, priority=priority)
        return order.enqueue(ledger=str(ledger), key=key, **args).id

    yield enqueue
    app.close()


def test_one_after_the_other_by_priority_then_age(
    hosts: Any, work: Any, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    hosts(2)
    first = {key: work(key, until=str(tmp_path / "go")) for key in "ab"}
    until(lambda: len(begun(ledger)) == 2)
    jobs = [(work(key, priority=n % 3), n % 3, key) for n in range(12) for key in "ab"]
    (tmp_path / "go").touch()
    all_over(connection, [*first.values(), *(job for job, _, _ in jobs)])
    for key in "ab":
        mine = sorted((-priority, job) for job, priority, k in jobs if k == key)
        assert begun(ledger, key) == [first[key], *(job for _, job in mine)]
        assert most_at_once(ledger, key) == 1
    assert connection.execute("SELECT FROM wsup.key_holder").rowcount == 0


def test_as_many_at_once_as_the_limit_says(
    hosts: Any, work: Any, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    hosts(1, subworkers=4)
    jobs = [work("a", 3, until=str(tmp_path / "go")) for _ in range(20)]
    until(lambda: len(begun(ledger)) == 3)
    other = work("b")
    assert finished(connection, other) == ["succeeded"]  # there is a free subworker
    assert [state(connection, job) for job in jobs] == ["running"] * 3 + ["blocked"] * 17
    (tmp_path / "go").touch()
    all_over(connection, jobs)
    assert most_at_once(ledger, "a") == 3


def test_ten_thousand_behind_a_busy_key_cost_the_others_nothing(
    hosts: Any, work: Any, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    (host,) = hosts(1)
    holder = work("busy", until=str(tmp_path / "go"))
    until(lambda: begun(ledger))
    connection.execute(
        "INSERT INTO wsup.job (task, args, key)"
        " SELECT 'work', json_build_object('ledger', %s::text, 'key', 'busy'), 'busy'"
        "   FROM generate_series(1, 10000)",
        [str(ledger)],
    )
    jobs = [work(f"free{n}") for n in range(10)]
    assert finished(connection, *jobs) == ["succeeded"] * 10
    until(lambda: sleepers(connection))
    assert connection.execute("SELECT FROM wsup.ready").rowcount == 0
    assert connection.execute("SELECT FROM wsup.blocked").rowcount == 10000
    connection.execute("SELECT wsup.cancel(ARRAY(SELECT job FROM wsup.blocked))")
    (tmp_path / "go").touch()
    assert finished(connection, holder) == ["succeeded"]
    assert host.stop() == 0


def test_the_turn_passes_on_however_its_holder_ends(
    hosts: Any, connection: Connection, ledger: Path
) -> None:
    """It comes back to who is put off once its time has come, behind nobody who came later."""
    hosts(2)
    rows = connection.execute(
        "INSERT INTO wsup.job (task, key, args, options)"
        " SELECT 'work', h.how, json_build_object("
        "            'ledger', %s::text, 'key', replace(h.how, ' ', ''), 'seconds', 0.01,"
        "            'how', CASE n WHEN 1 THEN h.how ELSE '' END),"
        "        CASE WHEN h.how = 'goes on' THEN '{\"timeout\": 0.3}'::json END"
        "   FROM unnest('{fails,snoozes,dies,goes on}'::text[]) AS h(how), generate_series(1, 4) n"
        " RETURNING id, key",
        [str(ledger)],
    ).fetchall()
    assert all_over(connection, [job for job, _ in rows]) == {"succeeded": 16}
    for how in {key for _, key in rows}:
        key, jobs = how.replace(" ", ""), [job for job, key in rows if key == how]
        assert most_at_once(ledger, key) == 1
        order = begun(ledger, key)
        assert order[:2] == jobs[:2]  # the second one ran while the first one waited
        assert sorted(order) == sorted([*jobs, jobs[0]])


def test_the_turn_passes_on_when_its_holder_is_cancelled(
    hosts: Any, work: Any, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    """Running, in line, or ready: nobody runs the second one's queue, so it stays there."""
    hosts(1, "--queues", "default")
    running = work("a", until=str(tmp_path / "go"))
    until(lambda: begun(ledger))
    row = connection.execute(
        "SELECT wsup.enqueue('work', queue => 'nobody', key => 'a')"
    ).fetchone()
    assert row is not None
    ready, in_line = row[0], work("a")
    last = work("a")
    query = "SELECT state FROM wsup.cancel(%s)"
    told = connection.execute(query, [[running, in_line]]).fetchall()
    assert told == [("cancelling",), ("cancelled",)]
    until(lambda: state(connection, ready) == "ready")
    assert state(connection, last) == "blocked"
    assert connection.execute(query, [[ready]]).fetchone() == ("cancelled",)
    assert finished(connection, last) == ["succeeded"]


def test_a_limit_is_changed_while_jobs_wait(
    hosts: Any, work: Any, connection: Connection, ledger: Path, tmp_path: Path, database: str
) -> None:
    hosts(1, subworkers=4)
    app = App(database)
    go = [tmp_path / f"go{n}" for n in range(6)]
    jobs = [work("a", until=str(file)) for file in go]
    until(lambda: len(begun(ledger)) == 1)
    with pytest.raises(DatabaseError, match="key_limit 2 contradicts its other jobs, which have 1"):
        work("a", 2)
    app.set_key_limit("a", 3)
    until(lambda: sorted(begun(ledger)) == jobs[:3])
    late = work("a", 9)  # what a job says no longer matters
    app.set_key_limit("a", 1)
    go[0].touch()
    go[1].touch()
    assert finished(connection, *jobs[:2]) == ["succeeded"] * 2
    assert sorted(begun(ledger)) == jobs[:3]
    go[2].touch()
    until(lambda: sorted(begun(ledger)) == jobs[:4])
    connection.execute("SELECT wsup.cancel(%s)", [[late]])
    app.set_key_limit("a", None)
    for file in go:
        file.touch()
    all_over(connection, jobs)
    app.close()


def test_an_idle_system_starts_the_next_one_without_a_poll(
    hosts: Any, work: Any, connection: Connection, ledger: Path
) -> None:
    hosts(2)
    for _ in range(10):
        until(lambda: all_asleep(connection, 2))
        assert finished(connection, work("a"), work("a")) == ["succeeded"] * 2
    assert most_at_once(ledger, "a") == 1


def test_a_job_joins_its_line_when_it_falls_due(
    hosts: Any, work: Any, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    hosts(1)
    holder = work("a", until=str(tmp_path / "go"))
    until(lambda: begun(ledger))
    row = connection.execute(
        "SELECT wsup.enqueue('work', json_build_object('ledger', %s::text, 'key', 'a')::jsonb,"
        " key => 'a', delay => '0.1 s')",
        [str(ledger)],
    ).fetchone()
    assert row is not None
    assert state(connection, row[0]) == "waiting"
    until(lambda: state(connection, row[0]) == "blocked")
    (tmp_path / "go").touch()
    assert finished(connection, holder, row[0]) == ["succeeded"] * 2
    assert most_at_once(ledger, "a") == 1
