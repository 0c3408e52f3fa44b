"""`wsup limits`: what tasks, queues and keys are limited to, and setting that by hand."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wsup.config.errors import UsageError

from .options import settings_options
from .output import say, table
from .rows import as_json_text

if TYPE_CHECKING:
    from wsup.limits import Kind

KIND = click.Choice(["task", "queue", "key"])


@click.group()
def limits() -> None:
    """Look at the limits of tasks, queues and keys, set them."""


@limits.command("list")
@settings_options("database")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_limits(config_file: Path | None, database: str | None, as_json: bool) -> None:
    """List the limits in force.

    TURNS is how many jobs run or are about to, of those that max_running counts; BLOCKED how many
    wait at this limit. One that was set by hand has a star.
    """
    from wsup.limits import limits as listed
    from wsup.sql.steps import drive, perform

    from .database import migrated

    with migrated(database, config_file) as conn:
        found = drive(listed(), partial(perform, conn))
    if as_json:
        click.echo(as_json_text([row._asdict() for row in found]))
        return
    head = ("KIND", "NAME", "MAX_RUNNING", "PER_HOST", "RATE", "BURST", "TURNS", "BLOCKED")
    rows = [
        (
            f"{row.kind}{'*' if row.by_hand else ''}",
            *(row.name, row.max_running, row.per_host, row.rate, row.burst),
            *(row.turns if row.max_running is not None else None, row.blocked),
        )
        for row in found
    ]
    click.echo(table(head, rows, right="MAX_RUNNING PER_HOST BURST TURNS BLOCKED"))


@limits.command("set")
@click.argument("kind", type=KIND)
@click.argument("name")
@settings_options("database")
@click.option("--max-running", type=int, help="So many at once, over all hosts.")
@click.option("--per-host", type=int, help="So many of a task at once on each host.")
@click.option("--rate", help="So many start, such as 100/minute.")
@click.option("--burst", type=int, help="So many starts are saved up at most.")
@click.option("--none", "lift", is_flag=True, help="No limit at all.")
def set_limits(
    kind: "Kind",
    name: str,
    config_file: Path | None,
    database: str | None,
    lift: bool,
    max_running: int | None,
    per_host: int | None,
    rate: str | None,
    burst: int | None,
) -> None:
    """Set the limits of a task, a queue or a key.

    Whatever the code says, for jobs that wait and those that come, until `wsup limits reset`. What
    isn't given has no limit. What runs already goes on.
    """
    from wsup.limits import Limit, checked, set_limit
    from wsup.sql.steps import drive, perform

    from .database import migrated

    limit = checked(kind, name, max_running=max_running, per_host=per_host, rate=rate, burst=burst)
    if lift == (limit != Limit()):
        raise UsageError(
            f"limits of {kind} {name}: give --max-running, --per-host or --rate; or --none"
        )
    with migrated(database, config_file) as conn:
        drive(set_limit(kind, name, limit), partial(perform, conn))
    said = ", ".join(
        f"{key} {value}" for key, value in limit._asdict().items() if value is not None
    )
    say(f"{kind} {name}: {said or 'no limit'}")


@limits.command()
@click.argument("kind", type=KIND)
@click.argument("name")
@settings_options("database")
def reset(kind: "Kind", name: str, config_file: Path | None, database: str | None) -> None:
    """Let the code say again what they are."""
    from wsup.limits import checked, reset_limit
    from wsup.sql.steps import drive, perform

    from .database import migrated

    checked(kind, name)
    with migrated(database, config_file) as conn:
        drive(reset_limit(kind, name), partial(perform, conn))
    say(f"{kind} {name}: its limits are those of the code")
