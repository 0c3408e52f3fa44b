"""`wsup config`: what holds here, and whether it is right."""

import json
from pathlib import Path

import click

from wsup.config.loading import explain, load

from .options import settings_options
from .output import table


@click.group()
def config() -> None:
    """Check the settings, or show where each comes from."""


@config.command()
@settings_options()
def check(config_file: Path | None, **flags: str | None) -> None:
    """Check all settings, and that a database is named; exit with 2 if something is wrong.

    Neither the app is imported nor the database connected to.
    """
    from wsup.config.database import described, direct_dsn

    settings = load(flags, config_file)
    direct_dsn(settings.listen, "")
    click.echo(f"the settings are right; database: {described(settings.database, config_file)}")


@config.command()
@settings_options()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(config_file: Path | None, as_json: bool, **flags: str | None) -> None:
    """Show every setting, its value, and who gave it."""
    explained = explain(flags, config_file)
    if as_json:
        known = {each.key: {"value": each.value, "source": each.source} for each in explained}
        click.echo(json.dumps(known, indent=2, ensure_ascii=False))
        return
    rows = [(each.key, _shown(each.value), each.source) for each in explained]
    click.echo(table(("KEY", "VALUE", "SOURCE"), rows))


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return json.dumps(value, ensure_ascii=False)
