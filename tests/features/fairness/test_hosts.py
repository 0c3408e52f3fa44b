"""Who starts when, on real supervisors: told by the order in which jobs began, not by time."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from roles import grant, roles_on
from running import Supervisor, all_over, until
from standing_in_turn import left_over
from taking_turns import begun

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]


@pytest.fixture(scope="module", autouse=True)
def _roles(server: str) -> Iterator[None]:
    with roles_on(server):
        yield


@pytest.fixture
def hosts(make_supervisor: MakeSupervisor) -> Callable[..., list[Supervisor]]:
    """So many supervisors of the app, with two subworkers each."""

    def make(n: int = 1, **options: str) -> list[Supervisor]:
        made = [
            make_supervisor("--subworkers", "2", app="taking_turns:app", **options)
            for _ in range(n)
        ]
        for host in made:
            host.start()
        made[0].wait_for("the order of queue mail was set")
        return made

    return make


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def enqueue(
    connection: Connection, ledger: Path, tenants: Sequence[str], n: int, seconds: float = 0.0
) -> list[int]:
    """So many jobs of each."""
    rows = connection.execute(
        "INSERT INTO wsup.job (task, queue, key, args)"
        " SELECT 'send', 'mail', t.tenant, json_build_object("
        "            'ledger', %s::text, 'tenant', t.tenant, 'seconds', %s::real)"
        "   FROM unnest(%s::text[]) AS t(tenant), generate_series(1, %s) RETURNING id",
        [str(ledger), seconds, list(tenants), n],
    )
    return [row[0] for row in rows]


#: Writes down what each claim took, in the order of the claims.
RECORD = """
CREATE TABLE pulled (claim bigint, tenant text);
CREATE FUNCTION record_pull() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.pulled
    SELECT NEW.id, j.key FROM wsup.job j WHERE NEW.jobs @> j.id;
    RETURN NULL;
END $$;
CREATE TRIGGER record AFTER INSERT ON wsup.claim FOR EACH ROW EXECUTE FUNCTION record_pull();
"""


def lead(connection: Connection, tenants: Sequence[str], n: int) -> int:
    """By how many jobs one was before another at most, as they were pulled, claim by claim, while
    each had some left of its `n`."""
    counts = Counter[str]()
    most = 0
    query = "SELECT array_agg(tenant) FROM pulled GROUP BY claim ORDER BY claim"
    for (pulled,) in connection.execute(query):
        counts.update(pulled)
        if max(counts.values()) >= n:
            break
        most = max(most, max(counts.values()) - min(counts[t] for t in tenants))
    return most


def test_many_jobs_of_one_do_not_keep_another_waiting(
    hosts: Callable[..., list[Supervisor]], connection: Connection, ledger: Path
) -> None:
    """Jobs of 50 ms, so that what begins in between is what supervisors had taken already."""
    hosts(2)
    jobs = enqueue(connection, ledger, ["many"], 20_000, seconds=0.05)
    until(lambda: len(begun(ledger)) > 20)
    before = len(begun(ledger))
    enqueue(connection, ledger, ["one"], 1)
    until(lambda: "one" in begun(ledger))
    assert begun(ledger).index("one") - before <= 16
    connection.execute("SELECT FROM wsup.cancel(%s)", [jobs])


@pytest.mark.parametrize(("n_hosts", "most"), [(1, 2), (3, 8)])
def test_fifty_tenants_take_turns(
    hosts: Callable[..., list[Supervisor]],
    connection: Connection,
    ledger: Path,
    n_hosts: int,
    most: int,
) -> None:
    """One of them has come before all others, with ten times as many jobs. Who pulls passes over
    the keys that another host is just pulling, and claims aren't committed in their order."""
    connection.execute(RECORD)
    made = hosts(n_hosts)
    tenants = [f"tenant{i}" for i in range(50)]
    connection.execute("SELECT wsup.pause_queue('mail')")
    jobs = enqueue(connection, ledger, tenants[:1], 200, seconds=0.002)
    jobs += enqueue(connection, ledger, tenants, 20, seconds=0.002)
    until(lambda: connection.execute("SELECT FROM wsup.ready WHERE job < 0").rowcount == 0)
    connection.execute("SELECT wsup.resume_queue('mail')")
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert 0 < lead(connection, tenants, 20) <= most
    assert set(begun(ledger)[-50:]) == {"tenant0"}
    assert len(begun(ledger)) == len(jobs)
    assert left_over(connection) == (0, 0, 0)
    assert all(host.stop() == 0 for host in made)


def test_nobody_is_forgotten_when_hosts_die(
    hosts: Callable[..., list[Supervisor]],
    connection: Connection,
    database: str,
    ledger: Path,
) -> None:
    """By supervisors with the least rights; two are killed and started again, and so are
    subworkers of the other, and the queue is fair, not fair, and fair again."""
    made = hosts(2, database=grant(database)["run"])
    tenants = list("abcdefgh")
    jobs = enqueue(connection, ledger, tenants, 60, seconds=0.005)
    for number, (killed, other) in enumerate((made, made[::-1])):
        until(lambda n=120 * (number + 1): len(begun(ledger)) > n)
        killed.kill()
        os.kill(other.subworker_pids()[0], signal.SIGKILL)
        connection.execute("SELECT wsup.set_queue('mail', %s)", [number == 1])
        killed.start()
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert left_over(connection) == (0, 0, 0)
    for host in made:
        assert "permission denied" not in host.log
        host.kill()


def test_who_has_waited_long_enough_goes_before_higher_priorities(
    hosts: Callable[..., list[Supervisor]], connection: Connection, ledger: Path
) -> None:
    """There are always some of a higher priority."""
    hosts()
    connection.execute("SELECT wsup.set_queue('mail', false, '1 s')")

    def add(tenant: str, priority: int, n: int) -> None:
        connection.execute(
            "INSERT INTO wsup.job (task, queue, priority, args)"
            " SELECT 'send', 'mail', %s, json_build_object("
            "            'ledger', %s::text, 'tenant', %s::text, 'seconds', 0.01)"
            "   FROM generate_series(1, %s)",
            [priority, str(ledger), tenant, n],
        )

    def low_has_begun() -> bool:
        if connection.execute("SELECT FROM wsup.ready LIMIT 10").rowcount < 10:
            add("high", 1, 20)
        return "low" in begun(ledger)

    add("high", 1, 20)
    add("low", 0, 1)
    until(low_has_begun)
    assert len(begun(ledger)) > 20


def test_the_code_says_which_queues_are_fair(
    hosts: Callable[..., list[Supervisor]], connection: Connection, ledger: Path
) -> None:
    """From the load of an app on; one that it no longer names is as others are."""

    def order() -> list[tuple[object, ...]]:
        query = "SELECT queue, fair, ageing::text FROM wsup.queue_order ORDER BY queue"
        return connection.execute(query).fetchall()

    (host,) = hosts()
    assert order() == [("mail", True, None)]
    connection.execute("SELECT wsup.set_queue('theirs', true)")
    file = host.folder / "taking_turns.py"
    declared = 'app.queue("mail", fair=True)'
    file.write_text(file.read_text().replace(declared, 'app.queue("post", ageing="10m")'))
    assert host.ask("reload")["ok"]
    host.wait_for("the order of queue post was set")
    assert order() == [("mail", False, None), ("post", False, "00:10:00"), ("theirs", True, None)]
    connection.execute("SELECT wsup.set_queue('post', ageing => '1 hour')")
    assert host.stop() == 0
    host.start()
    until(lambda: order()[1] == ("post", False, "00:10:00"))
    assert json.dumps(order()[2]) == json.dumps(["theirs", True, None])
