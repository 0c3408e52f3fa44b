"""`wsup queues`: what is in them, and letting one rest over all hosts."""

from functools import partial
from pathlib import Path

import click

from .options import settings_options
from .output import say, table
from .rows import as_json_text


@click.group()
def queues() -> None:
    """Look at queues, pause one over all hosts."""


@queues.command("list")
@settings_options("database")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_queues(config_file: Path | None, database: str | None, as_json: bool) -> None:
    """List the queues that jobs, supervisors or pauses name.

    SUPERVISORS is how many run a queue's jobs.
    """
    from wsup.queue import queues as listed
    from wsup.sql.steps import drive, perform

    from .database import migrated

    with migrated(database, config_file) as conn:
        found = drive(listed(), partial(perform, conn))
    if as_json:
        click.echo(as_json_text([queue._asdict() for queue in found]))
        return
    head = ("QUEUE", "READY", "WAITING", "RUNNING", "SUPERVISORS", "PAUSED")
    rows = [(q.name, q.ready, q.waiting, q.running, q.supervisors, q.paused_at) for q in found]
    click.echo(table(head, rows, right="READY WAITING RUNNING SUPERVISORS"))


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
