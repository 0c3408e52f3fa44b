"""`wsup token`: by what hosts show themselves to a server."""

import re
from datetime import UTC, datetime
from pathlib import Path

import click

from wsup.config.errors import UsageError
from wsup.config.tokens import VERBS, Keys, new_grant, new_secret

from .options import settings_options
from .output import say, table
from .rows import as_json_text, fetch

#: Characters of the name of a host, or of a queue.
MOST_NAME = 200
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.group()
def token() -> None:
    """Issue, list, revoke the tokens of hosts."""


@token.command("key")
@click.argument("name")
def make_key(name: str) -> None:
    """Print a new signing key, as a line for the file of keys.

    The first key of the file signs, all are believed.
    """
    if name.split() != [name] or not name.isprintable() or name.startswith("#"):
        raise UsageError(f"key {name!r}: give a name without spaces that doesn't begin with #")
    click.echo(f"{name} {new_secret()}")


@token.command()
@click.argument("agent")
@click.option(
    "--keys",
    "keys_file",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The keys that tokens are signed with.",
)
@click.option(
    "--for",
    "lifetime",
    default="30d",
    show_default=True,
    metavar="TIME",
    help="How long it is good for: 90s, 15m, 12h, 30d.",
)
@click.option("--queues", metavar="NAME,…", help="The queues that it may run jobs of.  [all]")
@click.option(
    "--verbs",
    default=",".join(VERBS),
    show_default=True,
    metavar="VERB,…",
    help="What it may do: run jobs, define schedules.",
)
@settings_options("database")
def issue(
    agent: str,
    keys_file: Path,
    lifetime: str,
    queues: str | None,
    verbs: str,
    config_file: Path | None,
    database: str | None,
) -> None:
    """Print a token for AGENT, which is what its host is called here."""
    from wsup.sql.statements import statement

    from .database import migrated

    if agent != agent.strip() or not agent.isprintable() or not 1 <= len(agent) <= MOST_NAME:
        raise UsageError(f"agent {agent!r}: give a name of 1 to {MOST_NAME} printable characters")
    wanted = list(dict.fromkeys(map(str.strip, verbs.split(","))))
    if unknown := [verb for verb in wanted if verb not in VERBS]:
        raise UsageError(f"--verbs {verbs}: there is no {unknown[0]!r}; use {', '.join(VERBS)}")
    keys = Keys.load(keys_file)
    named = None if queues is None else _queues(queues)
    grant = new_grant(agent, _seconds(lifetime), queues=named, verbs=wanted)
    with migrated(database, config_file) as conn:
        conn.execute(
            statement("token_insert"),
            {
                "id": grant.id,
                "agent": agent,
                "queues": named,
                "verbs": wanted,
                "key": keys.signing,
                "expires_at": datetime.fromtimestamp(grant.expires_at, UTC),
            },
        )
    click.echo(keys.sign(grant))


@token.command("list")
@settings_options("database")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_tokens(config_file: Path | None, database: str | None, *, as_json: bool) -> None:
    """List what was issued, oldest first."""
    from .database import migrated

    with migrated(database, config_file) as conn:
        found = fetch(conn, "token_list", [])
    if as_json:
        click.echo(as_json_text(found))
        return
    rows = [
        (
            row["id"],
            row["agent"],
            "all" if row["queues"] is None else ",".join(row["queues"]),
            ",".join(row["verbs"]),
            row["key"],
            _at(row["expires_at"]),
            "" if row["revoked_at"] is None else _at(row["revoked_at"]),
        )
        for row in found
    ]
    click.echo(table(("ID", "AGENT", "QUEUES", "VERBS", "KEY", "EXPIRES", "REVOKED"), rows))


@token.command()
@click.argument("named", metavar="ID|AGENT")
@settings_options("database")
def revoke(named: str, config_file: Path | None, database: str | None) -> None:
    """Let a token, or all of an agent's, be good for nothing, within two seconds."""
    from wsup.sql.statements import statement

    from .database import migrated

    with migrated(database, config_file) as conn:
        found = conn.execute(statement("token_revoke"), [named]).fetchall()
    if not found:
        raise UsageError(f"token {named}: there is none of that id or agent; see wsup token list")
    say(f"revoked: {', '.join(row[0] for row in found)}")


def _queues(given: str) -> list[str]:
    named = list(dict.fromkeys(map(str.strip, given.split(","))))
    if not all(queue.isprintable() and 1 <= len(queue) <= MOST_NAME for queue in named):
        raise UsageError(
            f"--queues {given!r}: must be names of 1 to {MOST_NAME} printable characters, with "
            "commas; leave it out to open all"
        )
    return named


def _seconds(lifetime: str) -> float:
    given = re.fullmatch(r"(\d+)([smhd])", lifetime)
    if given is None or not 1 <= int(given[1]) * _UNITS[given[2]] <= 3660 * _UNITS["d"]:
        raise UsageError(f"--for {lifetime}: must be a time of up to 10 years, as 15m, 12h or 30d")
    return float(int(given[1]) * _UNITS[given[2]])


def _at(moment: datetime | str) -> str:
    return moment if isinstance(moment, str) else f"{moment:%Y-%m-%d %H:%M:%S}"
