"""`wsup prune`: what supervisors do by themselves, by hand."""

from pathlib import Path
from typing import Any

import click

from wsup.config.loading import load

from .options import settings_options
from .rows import fetch

KEPT = ("retention_succeeded", "retention_failed", "retention_cancelled", "retention_expired")


@click.command()
@settings_options("database", *KEPT)
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
def prune(config_file: Path | None, database: str | None, dry_run: bool, **flags: Any) -> None:
    """Remove the finished jobs that are older than they are kept.

    Supervisors do that by and by. This does it now, without pauses, in many short transactions.
    """
    from wsup.sql.retention import Walk, walks

    from .database import migrated

    settings = load({"database": database, **flags}, config_file)
    ways = walks({key.removeprefix("retention_"): getattr(settings, key) for key in KEPT})
    with migrated(database, config_file) as conn:

        def go(walk: Walk) -> int:
            jobs, more = 0, True
            while more:
                piece = fetch(conn, "prune", walk.parameters(None))[0]
                jobs, walk.reached, more = jobs + piece["pruned"], piece["reached"], piece["more"]
            return jobs

        def count(walk: Walk) -> int:
            return int(fetch(conn, "prune_count", walk.parameters(None))[0]["count"])

        for walk in ways:
            jobs = count(walk) if dry_run else go(walk)
            what = f"{', '.join(walk.states)} more than {walk.keep:g} s ago"
            click.echo(f"{jobs} jobs {'would be ' if dry_run else ''}removed: {what}")
