"""`wsup migrate`."""

from pathlib import Path

import click

from wsup.config.loading import load

from .options import settings_options


@click.command()
@settings_options("database", "connect_tries")
@click.option("--dry-run", is_flag=True, help="Say what would be applied, and apply nothing.")
def migrate(
    config_file: Path | None, database: str | None, connect_tries: str | None, dry_run: bool
) -> None:
    """Bring the database to this version of wsup.

    Safe to run anywhere, at any time, on several hosts at once. Without a database named, it
    migrates the embedded one.
    """
    from wsup.config.database import resolve_or_embed
    from wsup.sql import migrate as schema

    from .database import connected

    settings = load({"database": database, "connect_tries": connect_tries}, config_file)
    dsn, server = resolve_or_embed(settings.database, file=config_file)
    try:
        with connected(dsn, settings.connect_tries) as conn:
            done = schema.migrate(conn, dry_run)
    finally:
        if server is not None:
            server.stop()
    for migration in done:
        click.echo(f"{'would apply' if dry_run else 'applied'} {migration}")
    if not done:
        click.echo(f"nothing to do: at version {len(schema.migrations())}")
