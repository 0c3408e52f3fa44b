"""`wsup roles`."""

from importlib.resources import files

import click


@click.command()
def roles() -> None:
    """Print SQL for database roles with the least privileges.

    One may only enqueue, one only run jobs, one only see where jobs stand, one see everything. To
    be run by the schema's owner, after each migrate: wsup roles | psql …
    """
    click.echo((files("wsup.sql") / "roles.sql").read_text(encoding="utf-8"), nl=False)
