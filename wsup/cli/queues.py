"""`wsup queues`: what is in them, letting one rest over all hosts, and their order."""

from functools import partial
from pathlib import Path

import click

from wsup.config.errors import UsageError

from .options import settings_options
from .output import say, table
from .rows import as_json_text


@click.group()
def queues() -> None:
    """Look at queues, pause them, set their order."""


@queues.command("list")
@settings_options("database")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_queues(config_file: Path | None, database: str | None, as_json: bool) -> None:
    """List the queues that jobs, supervisors or pauses name.

    SUPERVISORS is how many run a queue's jobs, BLOCKED how many of these stand in lines of keys.
    FAIR: its keys take turns. AGEING: a job rises by one priority for each time so long.
    """
    from wsup.queue import queues as listed
    from wsup.sql.steps import drive, perform

    from .database import migrated

    with migrated(database, config_file) as conn:
        found = drive(listed(), partial(perform, conn))
    if as_json:
        click.echo(as_json_text([queue._asdict() for queue in found]))
        return
    head = (
        "QUEUE", "READY", "WAITING", "BLOCKED", "RUNNING", "SUPERVISORS", "PAUSED", "FAIR",
        "AGEING",
    )  # fmt: skip
    rows = [
        (
            q.name, q.ready, q.waiting, q.blocked, q.running, q.supervisors, q.paused_at,
            "yes" if q.fair else None, q.ageing,
        )
        for q in found
    ]  # fmt: skip
    click.echo(table(head, rows, right="READY WAITING BLOCKED RUNNING SUPERVISORS"))


@queues.command()
@click.argument("name")
@settings_options("database")
def pause(name: str, config_file: Path | None, database: str | None) -> None:
    """Start no more jobs of a queue, on any host.

    Once this is done nobody takes any; what supervisors have taken already still runs.
    """
    _set_paused(name, config_file, database, pause=True)


@queues.command()
@click.argument("name")
@settings_options("database")
def resume(name: str, config_file: Path | None, database: str | None) -> None:
    """Let the jobs of a paused queue run again."""
    _set_paused(name, config_file, database, pause=False)


@queues.command("set")
@click.argument("name")
@click.option("--fair/--no-fair", default=None, help="Let the keys take turns, or not.")
@click.option(
    "--ageing",
    metavar="TIME",
    help="Let a job rise by one priority for each 90s, 10m, 2h or 1d that it has waited; 0: never.",
)
@settings_options("database")
def set_order(
    name: str, fair: bool | None, ageing: str | None, config_file: Path | None, database: str | None
) -> None:
    """Set in which order the jobs of a queue start.

    What is not given stays as it is. It holds for the jobs that stand there, too. An app that
    declares the queue sets it again when a supervisor loads it.
    """
    if fair is None and ageing is None:
        raise UsageError(f"queue {name}: nothing to set: give --fair, --no-fair or --ageing")
    _order(name, fair, 0 if ageing == "0" else ageing, config_file, database)


@queues.command()
@click.argument("name")
@settings_options("database")
def reset(name: str, config_file: Path | None, database: str | None) -> None:
    """Let the jobs of a queue start by priority and age alone."""
    _order(name, False, 0, config_file, database)


def _order(
    name: str, fair: bool | None, ageing: str | int | None, config_file: Path | None,
    database: str | None,
) -> None:  # fmt: skip
    from wsup import ordering, queue
    from wsup.options import check
    from wsup.sql.steps import drive, perform

    from .database import migrated

    check("queue", queue=name)
    with migrated(database, config_file) as conn:
        changed = drive(ordering.set_order(name, fair, ageing), partial(perform, conn))
        found = {q.name: q for q in drive(queue.queues(), partial(perform, conn))}.get(name)
    kind = "fair" if found and found.fair else "not fair"
    age = f"ageing {found.ageing}" if found and found.ageing else "no ageing"
    say(f"queue {name} is {kind}, with {age}" + ("" if changed else ", and was so already"))


def _set_paused(name: str, config_file: Path | None, database: str | None, *, pause: bool) -> None:
    from wsup import queue
    from wsup.options import check
    from wsup.sql.steps import drive, perform

    from .database import migrated

    check("queue", queue=name)
    with migrated(database, config_file) as conn:
        steps = queue.pause(name) if pause else queue.resume(name)
        changed = drive(steps, partial(perform, conn))
        known = drive(queue.queues(), partial(perform, conn))
    state = "paused" if pause else "running"
    say(f"queue {name} is {state}" if changed else f"queue {name} was {state} already")
    if not any(q.name == name and (q.ready or q.waiting or q.supervisors) for q in known):
        say(f"queue {name}: no job and no supervisor names it: see wsup queues list")
