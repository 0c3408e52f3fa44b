"""A host whose app is made of schedules, and what has become of its ticks."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
from running import Supervisor, until

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

APP = """
import os
from wsup import App, current_job

app = App()

{schedules}
@app.task(name="tick")
def tick(path: str = "") -> str:
    job = current_job()
    if path:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{{job.scheduled_for.timestamp():.1f}}\\n".encode())
        os.close(fd)
    return job.scheduled_for.isoformat()
"""
#: Seconds between ticks that a test waits for.
QUICK = 0.2


def write(supervisor: Supervisor, *schedules: str, module: str = "clocked") -> None:
    """The code of the app, of another length each time: Python can't tell files apart that are
    equally long and were written within a second."""
    file = supervisor.folder / f"{module}.py"
    before = len(file.read_text()) if file.exists() else 0
    text = APP.format(schedules="\n".join(schedules))
    file.write_text(text + "#" * (before == len(text)))


def ticks(connection: Connection, name: str = "tick") -> list[datetime]:
    """The ticks that jobs were made of, in the order in which they were."""
    rows = connection.execute(
        "SELECT (options->>'scheduled_for')::timestamptz FROM wsup.job"
        " WHERE options->>'schedule' = %s ORDER BY id",
        [name],
    ).fetchall()
    return [row[0] for row in rows]


def more_ticks(connection: Connection, n: int, name: str = "tick") -> None:
    """Wait for `n` more of them."""
    before = len(ticks(connection, name))
    until(lambda: len(ticks(connection, name)) >= before + n, f"{n} more ticks of {name}")


def is_seamless(found: Sequence[datetime], seconds: float = QUICK) -> bool:
    """Is each of them there once, and in order?"""
    step = timedelta(seconds=seconds)
    return list(found) == [found[0] + i * step for i in range(len(found))]


def named(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM wsup.schedule ORDER BY name").fetchall()
    return [row[0] for row in rows]


def settled(connection: Connection) -> None:
    """Wait until every job is over."""
    count = "SELECT count(*) FROM wsup.job j LEFT JOIN wsup.outcome o ON o.job = j.id WHERE {}"
    until(lambda: connection.execute(count.format("o.job IS NULL")).fetchone() == (0,))
    assert connection.execute(count.format("o.state <> 'succeeded'")).fetchone() == (0,)


def every(seconds: float, name: str = "tick", **more: object) -> str:
    options = "".join(f", {key}={value!r}" for key, value in more.items())
    return f"@app.schedule(every={seconds}, name={name!r}{options})"


def next_tick(connection: Connection) -> Any:
    row = connection.execute("SELECT next_tick FROM wsup.schedule").fetchone()
    return row and row[0]


def server_time(connection: Connection) -> Any:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    return row and row[0]
