"""`wsup jobs`: look at jobs, run them again, cancel them."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from wsup.config.errors import UsageError

from .job_id import ID
from .options import settings_options
from .output import printable, printable_lines, say, span, table

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.abc import Buffer

STATES = ("ready", "waiting", "blocked", "running", "succeeded", "failed", "cancelled", "expired")
UNFINISHED = STATES[:4]
Row = dict[str, Any]


@click.group()
def jobs() -> None:
    """Look at jobs, run them again, cancel them."""


@jobs.command("list")
@settings_options("database")
@click.option("--state", type=click.Choice(STATES), help="Only those that stand there.")
@click.option("--queue", help="Only those of this queue.")
@click.option("--task", help="Only those of this task.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_jobs(
    config_file: Path | None, database: str | None, as_json: bool, **wanted: object
) -> None:
    """List jobs, the newest first.

    AT is when a finished job ended, a running one was taken, a waiting one is due.
    """
    from .database import migrated

    with migrated(database, config_file) as conn:
        found = fetch(conn, "jobs_list", wanted)
    if as_json:
        click.echo(as_json_text(found))
        return
    head = ("id", "state", "queue", "task", "attempt", "priority", "enqueued_at", "at", "seconds")
    rows = [[row[name] for name in head] for row in found]
    names = [name.upper() for name in head]
    click.echo(table(names, rows, right="ID ATTEMPT PRIORITY SECONDS"))


@jobs.command()
@click.argument("job", metavar="ID", type=ID)
@settings_options("database")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(job: int, config_file: Path | None, database: str | None, as_json: bool) -> None:
    """Show a job, with its failures.

    Each comes with its traceback.
    """
    from .database import migrated

    with migrated(database, config_file) as conn:
        found = fetch(conn, "jobs_show", {"job": job})
        failures = fetch(conn, "jobs_failures", {"job": job})
    if not found:
        raise UsageError(f"job {job}: there is no such job: see wsup jobs list")
    row = found[0]
    if as_json:
        documents = {
            name: row[name] and msgspec.Raw(row[name].encode())
            for name in ("args", "options", "result")
        }
        click.echo(as_json_text({**row, **documents, "failures": failures}))
        return
    facts = [(name, value) for name, value in row.items() if value is not None]
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        shown = span(value) if name == "seconds" else printable(value)
        click.echo(f"{name.replace('_', ' '):<{width}}  {shown}")
    for failure in failures:
        click.echo(f"\n{_failure(failure)}")


@jobs.command()
@click.argument("ids", metavar="ID…", type=ID, nargs=-1, required=True)
@settings_options("database")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def retry(ids: tuple[int, ...], **options: Any) -> None:
    """Run finished jobs again.

    Those that failed, expired or were cancelled, at their next attempt. A job waits for those of
    its parents that have not ended, or are run again, too.
    """
    _change("jobs_retry", ids, ("ready", "blocked"), {}, **options)


@jobs.command()
@click.argument("ids", metavar="[ID…]", type=ID, nargs=-1)
@settings_options("database")
@click.option("--queue", help="All of this queue, instead of IDs.")
@click.option("--task", help="All of this task, instead of IDs.")
@click.option(
    "--state", type=click.Choice(UNFINISHED), help="Of these, only those that stand there."
)
@click.option(
    "--kill", is_flag=True, help="End by SIGKILL what goes on for kill_grace after its exception."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def cancel(
    ids: tuple[int, ...],
    queue: str | None,
    task: str | None,
    state: str | None,
    kill: bool,
    **options: Any,
) -> None:
    """Cancel jobs.

    What has not started never runs. A running task gets an exception; a job whose state is
    "cancelling" is left to its supervisor to end.
    """
    wanted = {"queue": queue, "task": task, "state": state}
    if ids:
        if given := [f"--{name} {value}" for name, value in wanted.items() if value is not None]:
            raise UsageError(f"{given[0]}: job {ids[0]} is named by its ID: leave one of them out")
        _change("jobs_cancel", ids, ("cancelled", "cancelling"), {"kill": kill}, **options)
    elif queue is None and task is None:
        raise UsageError("no job is named: give IDs, or --queue, or --task")
    else:
        _cancel_many({**wanted, "kill": kill}, **options)


def _cancel_many(
    wanted: Row, config_file: Path | None, database: str | None, as_json: bool
) -> None:
    from .database import migrated

    with migrated(database, config_file) as conn:
        found = fetch(conn, "jobs_cancel_many", wanted)
    if as_json:
        click.echo(as_json_text(found))
        return
    counts = Counter(row["state"] for row in found)
    asked = f", {counts['cancelling']} more are being cancelled" if counts["cancelling"] else ""
    click.echo(f"{counts['cancelled']} jobs cancelled{asked}")


def _change(
    query: str,
    ids: Sequence[int],
    wishes: tuple[str, ...],
    params: Row,
    config_file: Path | None,
    database: str | None,
    as_json: bool,
) -> None:
    """Change jobs; exits with 1 if some could not be, with 2 if some don't exist."""
    from .database import migrated

    with migrated(database, config_file) as conn:
        found = fetch(conn, query, {"jobs": list(dict.fromkeys(ids)), **params})
    found.sort(key=lambda row: ids.index(row["job"]))
    if as_json:
        click.echo(as_json_text(found))
    else:
        click.echo(table(("JOB", "STATE"), [tuple(row.values()) for row in found], right="JOB"))
    unknown = [row["job"] for row in found if row["state"] is None]
    others = [row["job"] for row in found if row["state"] not in (*wishes, None)]
    if unknown:
        say(f"no such job: {_listed(unknown)}: see wsup jobs list")
    if others:
        say(f"left as they are: {_listed(others)}: {REFUSED[wishes[0]]}")
    sys.exit(2 if unknown else 1 if others else 0)


REFUSED = {
    "ready": "only failed, expired and cancelled jobs are run again",
    "cancelled": "they had ended",
}


def fetch(conn: "Connection[Any]", query: str, params: Row) -> list[Row]:
    """The rows of a statement of ours, by the names of their columns."""
    from psycopg import DataError
    from psycopg.rows import dict_row
    from psycopg.types.datetime import TimestamptzLoader

    from wsup.sql.statements import statement

    class Moments(TimestamptzLoader):
        """Python knows no infinity and no year 10,000; whoever uses SQL does."""

        def load(self, data: "Buffer") -> Any:
            try:
                return super().load(data)
            except DataError:
                return bytes(data).decode()

    cursor = conn.cursor(row_factory=dict_row)
    cursor.adapters.register_loader("timestamptz", Moments)
    return cursor.execute(statement(query), params).fetchall()


def _failure(row: Row) -> str:
    where = f" on supervisor {row['supervisor']}" if row["supervisor"] is not None else ""
    if row["subworker"] is not None:
        where += f", subworker {row['subworker']}"
    lost = ", lost with its host" if row["lost"] else ""
    head = f"attempt {row['attempt']} failed {printable(row['failed_at'])}{where}{lost}"
    what = f"{printable(row['type'])}: {printable(row['message'])}"
    return "\n".join([head, what, printable_lines(row["traceback"] or "")]).rstrip()


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))


def as_json_text(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()
