"""`wsup jobs show --follow` and `wsup jobs logs`: what a job says of itself, also while it runs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from wsup.config.errors import UsageError

from .job_id import ID
from .options import settings_options
from .output import printable, printable_lines
from .rows import Row, fetch

if TYPE_CHECKING:
    from psycopg import Connection

OVER = ("succeeded", "failed", "cancelled", "expired")
#: Seconds between two looks at a job that is followed.
LOOK_SECONDS = 0.2


def follow(conn: "Connection[Any]", job: int, *, as_json: bool) -> str:
    """Show how far a job is, until it has ended; returns its state. Raises UsageError."""
    shown: Row | None = None
    with _display(as_json) as show:
        while True:
            row = _standing(conn, job)
            if row != shown:
                show(row)
                shown = row
            if row["state"] in OVER:
                return str(row["state"])
            time.sleep(LOOK_SECONDS)


def _standing(conn: "Connection[Any]", job: int) -> Row:
    found = fetch(conn, "jobs_follow", {"job": job})
    if not found:
        raise UsageError(f"job {job}: there is no such job: see wsup jobs list")
    return found[0]


@contextmanager
def _display(as_json: bool) -> Iterator[Callable[[Row], None]]:
    """A bar where there is a terminal, and rich is installed; else a line for each change."""
    if as_json:
        yield lambda row: click.echo(msgspec.json.encode(row).decode())
        return
    if not sys.stdout.isatty():
        yield _show_line
        return
    try:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    except ImportError:
        yield _show_line
        return
    columns = TextColumn("{task.fields[state]}"), BarColumn(), TaskProgressColumn()
    words = TextColumn("{task.description}", markup=False)
    with Progress(*columns, words) as progress:
        bar = progress.add_task("", total=1.0, state="")

        def show(row: Row) -> None:
            words = printable(row["message"] or "")
            progress.update(
                bar, completed=row["fraction"] or 0.0, description=words, state=row["state"]
            )

        yield show


def _show_line(row: Row) -> None:
    words = [row["state"]]
    if row["fraction"] is not None:
        words += [f"{row['fraction']:.0%}", printable(row["message"])]
    click.echo("  ".join(words).rstrip())


@click.command()
@click.argument("job", metavar="ID", type=ID)
@settings_options("database")
@click.option("--attempt", type=click.IntRange(1, 32767), help="Only of this attempt.")
@click.option("--follow", "is_followed", is_flag=True, help="Until the job has ended.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
def logs(
    job: int,
    config_file: Path | None,
    database: str | None,
    attempt: int | None,
    is_followed: bool,
    as_json: bool,
) -> None:
    """Show what a job has printed and logged.

    Of tasks that capture it: @app.task(capture_logs=True).
    """
    from .database import migrated

    with migrated(database, config_file) as conn:
        after = {"claim": 0, "piece": 0}
        while True:
            state = _standing(conn, job)["state"]  # first: what comes after its end is nothing
            rows = fetch(conn, "jobs_logs", {"job": job, "attempt": attempt, **after})
            for row in rows:
                after = {name: row.pop(name) for name in ("claim", "piece")}
                click.echo(msgspec.json.encode(row).decode() if as_json else _line(row))
            if not is_followed or state in OVER:
                return
            time.sleep(LOOK_SECONDS)


def _line(row: Row) -> str:
    level = f" {row['level']}" if row["level"] else ""
    head = f"{printable(row['at'])}  {row['attempt']}  {printable(row['source'])}{level}  "
    return head + printable_lines(row["line"]).replace("\n", "\n    ")
