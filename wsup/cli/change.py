"""`wsup jobs retry`, `cancel`, `move`, `purge`, `rerun`: what operators do to jobs."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wsup.config.errors import UsageError
from wsup.states import FINISHED, UNFINISHED, UNSTARTED, UNSUCCESSFUL

from .filters import chosen, filter_options
from .job_id import ID
from .options import settings_options
from .output import say, table
from .rows import Row, as_json_text, fetch

if TYPE_CHECKING:
    from wsup.jobs import Filter

dry_run = click.option("--dry-run", is_flag=True, help="Only say how many there are.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

#: What is said of jobs that were changed; what to call them beforehand; and why others were left.
DONE = {
    "retry": ("run again", "run again", "only failed, expired and cancelled jobs are run again"),
    "cancel": ("cancelled", "be cancelled", "they had ended"),
    "move": ("moved", "be moved", "only jobs that have not started are moved, to another queue"),
    "purge": (
        "purged",
        "be purged",
        "only finished jobs are purged, and --unstarted ones; and none that others wait for",
    ),
}
#: The states that tell of a change, for jobs named by their IDs.
WISHES = {
    "retry": ("ready", "blocked"),
    "cancel": ("cancelled", "cancelling"),
    "move": ("moved",),
    "purge": ("purged",),
}


@click.command()
@click.argument("ids", metavar="[ID…]", type=ID, nargs=-1)
@settings_options("database")
@filter_options(UNSUCCESSFUL)
@dry_run
@as_json
def retry(ids: tuple[int, ...], **options: Any) -> None:
    """Run finished jobs again.

    Those that failed, expired or were cancelled, at their next attempt: by their IDs, or all that
    the options choose. A job waits for those of its parents that have not ended, or are run again.
    """
    _change("retry", ids, {}, **options)


@click.command()
@click.argument("ids", metavar="[ID…]", type=ID, nargs=-1)
@settings_options("database")
@filter_options(UNFINISHED, error=False)
@click.option(
    "--kill", is_flag=True, help="End by SIGKILL what goes on for kill_grace after its exception."
)
@dry_run
@as_json
def cancel(ids: tuple[int, ...], kill: bool, **options: Any) -> None:
    """Cancel jobs.

    By their IDs, or all that the options choose. What has not started never runs. A running task
    gets an exception; a job whose state is "cancelling" is left to its supervisor to end.
    """
    _change("cancel", ids, {"kill": kill}, **options)


@click.command()
@click.argument("ids", metavar="[ID…]", type=ID, nargs=-1)
@click.option("--to", "target", metavar="QUEUE", required=True, help="The queue to move them to.")
@settings_options("database")
@filter_options(UNSTARTED, error=False)
@dry_run
@as_json
def move(ids: tuple[int, ...], target: str, **options: Any) -> None:
    """Move jobs that have not started to another queue.

    By their IDs, or all that the options choose. There they stand by their priority and age.
    """
    from wsup.options import check

    check("--to", queue=target)
    _change("move", ids, {"queue": target}, **options)


@click.command()
@click.argument("ids", metavar="[ID…]", type=ID, nargs=-1)
@settings_options("database")
@filter_options((*UNSTARTED, *FINISHED))
@click.option("--unstarted", is_flag=True, help="Also what has not started, and then never runs.")
@dry_run
@as_json
def purge(ids: tuple[int, ...], unstarted: bool, **options: Any) -> None:
    """Remove finished jobs, and all that is stored of them, for good.

    By their IDs, or all that the options choose.
    """
    _change("purge", ids, {"unstarted": unstarted}, **options)


@click.command()
@click.argument("job", metavar="ID", type=ID)
@settings_options("database")
@click.option("--args", metavar="JSON", help="All of its arguments, an object; else as they were.")
def rerun(job: int, args: str | None, config_file: Path | None, database: str | None) -> None:
    """Run a finished job once more, as a new job, and print its id.

    The old one stays as it is. Nothing checks here whether the arguments fit the task.
    """
    from wsup.config.loading import load
    from wsup.errors import JobNotFound
    from wsup.job import rerun as again
    from wsup.sql.steps import drive, perform

    from .database import migrated
    from .enqueue import check_json

    if args is not None:
        check_json(args, load({}, config_file).max_args)
    steps = again(job, None if args is None else args.encode())
    with migrated(database, config_file) as conn:
        try:
            click.echo(drive(steps, partial(perform, conn)))
        except JobNotFound as error:
            raise UsageError(f"{error}: see wsup jobs list") from error


def _change(
    verb: str,
    ids: Sequence[int],
    params: Row,
    config_file: Path | None,
    database: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    from .database import migrated

    which = chosen(ids, options)
    with migrated(database, config_file) as conn:
        if ids and not dry_run:
            found = fetch(conn, f"jobs_{verb}", {"jobs": which.values()[0], **params})
            _tell_each(verb, ids, found, as_json)
        else:
            _change_many(verb, which, params, conn, dry_run, as_json)


def _change_many(
    verb: str, which: "Filter", params: Row, conn: Any, dry_run: bool, as_json: bool
) -> None:
    from wsup.jobs import changed
    from wsup.sql.steps import drive, perform

    kind = "purge unstarted" if params.get("unstarted") else verb
    steps = changed(kind, which, *params.values(), dry_run=dry_run)
    counts = drive(steps, partial(perform, conn))
    if as_json:
        click.echo(as_json_text(counts))
        return
    asked = counts.pop("cancelling", 0)
    done, to_do, _ = DONE[verb]
    if dry_run:
        click.echo(f"{sum(counts.values())} jobs would {to_do}")
    else:
        more = f", {asked} more are being cancelled" if asked else ""
        click.echo(f"{sum(counts.values())} jobs {done}{more}")


def _tell_each(verb: str, ids: Sequence[int], found: list[Row], as_json: bool) -> None:
    """Of jobs named by their IDs; exits with 1 if some could not be changed, with 2 if some don't
    exist."""
    found.sort(key=lambda row: ids.index(row["job"]))
    if as_json:
        click.echo(as_json_text(found))
    else:
        click.echo(table(("JOB", "STATE"), [tuple(row.values()) for row in found], right="JOB"))
    unknown = [row["job"] for row in found if row["state"] is None]
    others = [row["job"] for row in found if row["state"] not in (*WISHES[verb], None)]
    if unknown:
        say(f"no such job: {_listed(unknown)}: see wsup jobs list")
    if others:
        say(f"left as they are: {_listed(others)}: {DONE[verb][2]}")
    sys.exit(2 if unknown else 1 if others else 0)


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))
