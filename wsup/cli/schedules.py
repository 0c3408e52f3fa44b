"""`wsup schedules`: what runs by the clock, and stopping, resuming or running it by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wsup.config.errors import UsageError

from .options import settings_options
from .output import say, span, table
from .rows import as_json_text, fetch

if TYPE_CHECKING:
    from psycopg import Connection


@click.group()
def schedules() -> None:
    """Look at schedules, pause them, run one by hand."""


@schedules.command("list")
@settings_options("database")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_schedules(config_file: Path | None, database: str | None, as_json: bool) -> None:
    """List schedules, with their next ticks.

    They are there once a supervisor has loaded the app that defines them.
    """
    from .database import migrated

    with migrated(database, config_file) as conn:
        found = fetch(conn, "schedules_list", {})
    if as_json:
        click.echo(as_json_text(found))
        return
    head = ("NAME", "TASK", "WHEN", "CATCH_UP", "NEXT", "LAST", "APP")
    click.echo(table(head, [_line(row) for row in found]))


@schedules.command()
@click.argument("name")
@settings_options("database")
@click.option("--app", help="The app, where several have a schedule of this name.")
def pause(name: str, **options: Any) -> None:
    """Have a schedule enqueue nothing until it is resumed."""
    _set_paused(name, pause=True, **options)


@schedules.command()
@click.argument("name")
@settings_options("database")
@click.option("--app", help="The app, where several have a schedule of this name.")
def resume(name: str, **options: Any) -> None:
    """Let a paused schedule go on with its next tick.

    Those that came meanwhile are not caught up.
    """
    _set_paused(name, pause=False, **options)


@schedules.command()
@click.argument("name")
@settings_options("database")
@click.option("--app", help="The app, where several have a schedule of this name.")
def trigger(name: str, config_file: Path | None, database: str | None, app: str | None) -> None:
    """Enqueue a schedule's job now, and print its id.

    Its ticks stay as they are, and a paused one stays paused.
    """
    from .database import migrated

    with migrated(database, config_file) as conn:
        found = fetch(conn, "schedules_trigger", {"name": name, "app": _owner(conn, name, app)})
    if not found:  # deleted in between
        raise _unknown(name)
    click.echo(found[0]["id"])


def _set_paused(
    name: str, config_file: Path | None, database: str | None, app: str | None, *, pause: bool
) -> None:
    from .database import migrated

    with migrated(database, config_file) as conn:
        owner = _owner(conn, name, app)
        changed = fetch(conn, "schedules_pause", {"name": name, "app": owner, "pause": pause})
    state = "paused" if pause else "running"
    say(f"schedule {name} is {state}" if changed else f"schedule {name} was {state} already")


def _owner(conn: "Connection[Any]", name: str, app: str | None) -> str:
    """The app whose schedule is meant. Raises UsageError."""
    apps = [row["app"] for row in fetch(conn, "schedules_named", {"name": name, "app": app})]
    if not apps:
        raise _unknown(name)
    if len(apps) > 1:
        raise UsageError(
            f"schedule {name}: several apps have one: name the app: --app {' or '.join(apps)}"
        )
    return str(apps[0])


def _unknown(name: str) -> UsageError:
    return UsageError(f"schedule {name}: there is no such schedule: see wsup schedules list")


def _line(row: Mapping[str, Any]) -> list[object]:
    when = f"every {span(row['every'])}" if row["every"] else f"{row['cron']} {row['timezone']}"
    coming = "paused" if row["paused"] else row["next_tick"]
    return [
        row["name"], row["task"], when, row["catch_up"], coming, row["last_tick"], row["app"]
    ]  # fmt: skip
