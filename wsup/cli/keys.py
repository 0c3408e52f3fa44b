"""`wsup keys`: which keys have jobs in line, and how many of each may run at once."""

from pathlib import Path

import click

from wsup.config.errors import UsageError

from .options import settings_options
from .output import say, table
from .rows import as_json_text, fetch


@click.group()
def keys() -> None:
    """Look at the keys that jobs share, and set their limits."""


@keys.command("list")
@settings_options("database")
@click.option("--key", help="Only this one.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_keys(
    config_file: Path | None, database: str | None, as_json: bool, **wanted: object
) -> None:
    """List keys in use, those with the longest lines first.

    TURNS is how many of its jobs run or are about to, FIRST the oldest of them, BLOCKED how many
    wait for a turn. A limit that was set by hand has a star.
    """
    from .database import migrated

    with migrated(database, config_file) as conn:
        found = fetch(conn, "keys_list", wanted)
    if as_json:
        click.echo(as_json_text(found))
        return
    rows = [
        (
            row["key"],
            f"{row['key_limit']}{'*' if row['is_set'] else ''}",
            row["turns"],
            row["first"],
            row["blocked"],
        )
        for row in found
    ]
    click.echo(
        table(
            ("KEY", "LIMIT", "TURNS", "FIRST", "BLOCKED"), rows, right="LIMIT TURNS FIRST BLOCKED"
        )
    )


@keys.command("set")
@click.argument("key")
@click.argument("key_limit", metavar="LIMIT", type=click.IntRange(1, 32_767))
@settings_options("database")
def set_limit(key: str, key_limit: int, config_file: Path | None, database: str | None) -> None:
    """Let LIMIT jobs of a key run at once.

    Whatever they say themselves, those that wait and those that come, until `wsup keys reset`. What
    runs already goes on.
    """
    _set(key, key_limit, config_file, database)
    say(f"key {key}: {key_limit} of its jobs may run at once")


@keys.command()
@click.argument("key")
@settings_options("database")
def reset(key: str, config_file: Path | None, database: str | None) -> None:
    """Let the jobs of a key say again how many run at once."""
    _set(key, None, config_file, database)
    say(f"key {key}: its jobs say how many may run at once")


def _set(key: str, key_limit: int | None, config_file: Path | None, database: str | None) -> None:
    from wsup.sql.statements import statement

    from .database import migrated

    if not key:
        raise UsageError("key '': give a name of at least one character")
    with migrated(database, config_file) as conn:
        conn.execute(statement("key_limit"), [key, key_limit])
