"""Names that would be SQL, were any of it built of them, from one end of the road to the other."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from running import Supervisor, finished

from wsup import App

Connection = psycopg.Connection[Any]

NAMES = (
    'it\'s "quoted"',
    "'; DROP TABLE wsup.job; --",
    "back\\slash \\' \\N \\. $$ $1 %s %(x)s {0}",
    "üñí ☃ 💣 名前",
    '","{},NULL,\\"',
    "NULL",
    " a b ",
)
TASKS = """
import json
from pathlib import Path
from wsup import App, Snooze, current_job

app = App()


def make(name):
    @app.task(name=name, queue=name, retries=1, backoff=0.01)
    def same(way: str) -> str:
        if way == "again" and current_job().attempt == 1:
            raise ValueError(name)
        return way


for name in json.loads(Path(__file__).with_name("names.json").read_text()):
    make(name)
"""


@pytest.fixture
def strange(make_supervisor: Callable[..., Supervisor]) -> Supervisor:
    """A supervisor, not started, whose tasks and queues have strange names."""
    supervisor = make_supervisor("--subworkers", "2")
    (supervisor.folder / "names.json").write_text(json.dumps(NAMES))
    (supervisor.folder / "tasks.py").write_text(TASKS)
    return supervisor


def test_strange_names_go_all_the_way(
    strange: Supervisor, connection: Connection, database: str
) -> None:
    strange.start()
    assert strange.status()["queues"] == sorted({"default", *NAMES})
    app = App(database=database)
    for name in NAMES:

        def same(way: str) -> str:
            return way

        task = app.task(name=name, queue=name)(same)
        jobs = [
            task.enqueue("alone"),
            task.enqueue("again"),
            task.options(delay=0.05).enqueue("later"),
            *task.enqueue_many([{"way": "few"}] * 3),
            *task.enqueue_many([{"way": "by COPY"}] * 101),
        ]
        row = connection.execute(
            'SELECT wsup.enqueue(%s, \'{"way": "by SQL"}\', %s)', [name, name]
        ).fetchone()
        assert row is not None
        assert set(finished(connection, row[0], *(job.id for job in jobs))) == {"succeeded"}
        assert [job.result() for job in jobs[:4]] == ["alone", "again", "later", "few"]
    app.close()
    counts = connection.execute(
        "SELECT task, count(*) FROM wsup.job WHERE task = queue GROUP BY task"
    ).fetchall()
    assert dict(counts) == dict.fromkeys(NAMES, 3 + 3 + 101 + 1)
    messages = connection.execute("SELECT message FROM wsup.failure").fetchall()
    assert sorted(row[0] for row in messages) == sorted(NAMES)
    assert strange.stop() == 0
    assert connection.execute("SELECT count(*) FROM wsup.supervisor").fetchone() == (0,)


def test_a_strange_queue_can_be_named_in_the_settings(
    strange: Supervisor, connection: Connection
) -> None:
    # On a command line, a comma parts names.
    (strange.folder / "wsup.toml").write_text(f"queues = {json.dumps(NAMES[1:3])}")
    strange.start()
    assert strange.status()["queues"] == list(NAMES[1:3])
    job = connection.execute(
        'SELECT wsup.enqueue(%s, \'{"way": "x"}\', %s)', [NAMES[0], NAMES[1]]
    ).fetchone()
    assert job is not None
    assert finished(connection, job[0]) == ["succeeded"]
