"""`wsup jobs`: look at jobs. What changes them is in change.py."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from wsup.config.errors import UsageError

from . import change
from .filters import chosen, filter_options
from .job_id import ID
from .options import settings_options
from .output import printable, printable_lines, span, table
from .rows import Row, as_json_text, fetch


@click.group()
def jobs() -> None:
    """Look at jobs, run them again, cancel, move, remove them."""


@jobs.command("list")
@settings_options("database")
@filter_options()
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_jobs(
    config_file: Path | None, database: str | None, as_json: bool, limit: int, **options: Any
) -> None:
    """List jobs, the newest first.

    AT is when a finished job ended, a running one was taken, a waiting one is due.
    """
    from .database import migrated

    which = chosen((), options)
    with migrated(database, config_file) as conn:
        found = fetch(conn, "jobs_list", [*which.values(), limit])
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
@click.option("--follow", "is_followed", is_flag=True, help="Show its progress until it has ended.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON object (a line each, with --follow)."
)
def show(
    job: int, config_file: Path | None, database: str | None, is_followed: bool, as_json: bool
) -> None:
    """Show a job, with its failures.

    Each comes with its traceback. With --follow, this exits with 1 if the job didn't succeed.
    """
    from .database import migrated
    from .follow import follow

    with migrated(database, config_file) as conn:
        state = follow(conn, job, as_json=as_json) if is_followed else "succeeded"
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
        whole = {**row, **documents, "failures": failures}
        click.echo(msgspec.json.encode(whole).decode() if is_followed else as_json_text(whole))
        sys.exit(state != "succeeded")
    _show_facts(row, failures)
    sys.exit(state != "succeeded")


def _show_facts(row: Row, failures: Sequence[Row]) -> None:
    facts = [(name, value) for name, value in row.items() if value is not None]
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        shown = span(value) if name == "seconds" else printable(value)
        click.echo(f"{name.replace('_', ' '):<{width}}  {shown}")
    for failure in failures:
        click.echo(f"\n{_failure(failure)}")


@jobs.command("failed")
@settings_options("database")
@filter_options(())
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def failed(config_file: Path | None, database: str | None, as_json: bool, **options: Any) -> None:
    """Count the failed jobs by task and error.

    ERROR is the type of the exception that ended the last attempt, for --error.
    """
    from wsup.jobs import failed as counted
    from wsup.sql.steps import drive, perform

    from .database import migrated

    which = chosen((), options)
    with migrated(database, config_file) as conn:
        found = drive(counted(which), partial(perform, conn))
    if as_json:
        click.echo(as_json_text([row._asdict() for row in found]))
        return
    head = ("TASK", "ERROR", "JOBS", "FIRST_AT", "LAST_AT", "LAST_JOB")
    click.echo(table(head, found, right="JOBS LAST_JOB"))


for command in (change.retry, change.rerun, change.cancel, change.move, change.purge):
    jobs.add_command(command)


def _failure(row: Row) -> str:
    where = f" on supervisor {row['supervisor']}" if row["supervisor"] is not None else ""
    if row["subworker"] is not None:
        where += f", subworker {row['subworker']}"
    lost = ", lost with its host" if row["lost"] else ""
    head = f"attempt {row['attempt']} failed {printable(row['failed_at'])}{where}{lost}"
    what = f"{printable(row['type'])}: {printable(row['message'])}"
    return "\n".join([head, what, printable_lines(row["traceback"] or "")]).rstrip()
