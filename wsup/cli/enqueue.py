"""`wsup enqueue`."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from wsup.config.errors import UsageError
from wsup.config.loading import load

from .job_id import ID
from .options import settings_options
from .output import say

if TYPE_CHECKING:
    from psycopg import Error

CENTURY = 100 * 365 * 86_400  # seconds
EXAMPLE = """for example '{"user": 7}'"""


@click.command()
@click.argument("task")
@click.argument("args", metavar="[JSON]", default="{}")
@settings_options("database")
@click.option("--queue", default="default", show_default=True, help="The queue to put it into.")
@click.option(
    "--priority",
    type=click.IntRange(-32768, 32767),
    default=0,
    show_default=True,
    help="Higher runs earlier.",
)
@click.option(
    "--delay", type=click.FloatRange(0, CENTURY), metavar="SECONDS", help="Not before then."
)
@click.option("--run-at", metavar="TIME", help="Not before then: 2030-01-31T08:00, local time.")
@click.option(
    "--retries", type=click.IntRange(0, 30_000), help="Attempts after the first; else the task's."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, CENTURY, min_open=True),
    metavar="SECONDS",
    help="For each attempt; else the task's.",
)
@click.option("--expires", metavar="WHEN", help="Not started by then (seconds, or TIME): never.")
@click.option("--deadline", metavar="WHEN", help="Over by then (seconds, or TIME), or ended.")
@click.option("--unique-key", metavar="KEY", help="One job of TASK with this key at a time.")
@click.option(
    "--on-conflict",
    type=click.Choice(("skip", "replace", "raise")),
    default="skip",
    show_default=True,
    help="If another job has the key: its id is printed, it is changed, or exit status 1.",
)
@click.option(
    "--unique-for",
    type=click.FloatRange(0, CENTURY, min_open=True),
    metavar="SECONDS",
    help="How long it has the key; else until it has ended.",
)
@click.option("--after", type=ID, multiple=True, metavar="ID", help="Not before it has succeeded.")
@click.option("--after-lax", type=ID, multiple=True, metavar="ID", help="Not before it has ended.")
@click.option(
    "--on-parent-failure",
    type=click.Choice(["cancel", "run"]),
    default="cancel",
    show_default=True,
    help="What to do if an --after doesn't succeed.",
)
@click.option("--key", help="Of the jobs that share it, --key-limit run at once.")
@click.option("--key-limit", type=click.IntRange(1, 32_767), help="How many; 1, if it isn't given.")
def enqueue(
    task: str,
    args: str,
    config_file: Path | None,
    database: str | None,
    run_at: str | None,
    expires: str | None,
    deadline: str | None,
    after: tuple[int, ...],
    after_lax: tuple[int, ...],
    **options: object,
) -> None:
    """Ask for a job, and print its id.

    If another job has its unique key, that one's id is printed.

    TASK is its name, and JSON an object of its arguments ("-": read from stdin). The task is not
    imported here, so nothing checks its name and arguments, and its own queue is not known.
    """
    from psycopg import errors

    from wsup.sql.statements import statement

    from .database import migrated

    text = sys.stdin.read() if args == "-" else args
    check_json(text, load({}, config_file).max_args)
    row = {"task": task, "args": text, "run_at": _moment("--run-at", run_at), **options}
    row |= _limit("expires", expires) | _limit("deadline", deadline)
    row |= {"after": list(after) or None, "after_lax": list(after_lax) or None}
    with migrated(database, config_file) as conn:
        try:
            made = conn.execute(statement("jobs_enqueue"), row).fetchone()
        except errors.UniqueViolation as error:
            say(f"enqueue {task!r}: {_told(error)}")
            sys.exit(1)
        except (errors.DataError, errors.ForeignKeyViolation) as error:
            raise UsageError(f"enqueue {task!r}: {_told(error)}") from error
    assert made is not None  # noqa: S101  (a function's value is always a row)
    click.echo(made[0])


def check_json(args: str, max_args: int) -> None:
    """Raises UsageError unless it is an object of at most `max_args` bytes."""
    try:
        msgspec.json.decode(args, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise UsageError(f"JSON {_short(args)}: use an object by argument, {EXAMPLE}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"JSON {_short(args)}: {error}: write it {EXAMPLE}") from None
    if (size := len(args.encode(errors="surrogatepass"))) > max_args:
        raise UsageError(f"JSON of {size} bytes: max_args allows {max_args}: pass an address of it")


def _told(error: "Error") -> str:
    parts = error.diag.message_primary or str(error), error.diag.message_detail
    return ": ".join(filter(None, parts)).removeprefix("wsup.enqueue: ")


def _moment(flag: str, value: str | None, also: str = "") -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(f"{flag} {value}: use {also}a time like 2030-01-31T08:00+01:00") from None


def _limit(name: str, value: str | None) -> dict[str, object]:
    """The two parameters of which one is given: a span in seconds, or a moment."""
    try:
        seconds = None if value is None else float(value)
    except ValueError:
        return {name: None, f"{name}_at": _moment(f"--{name}", value, "seconds, or ")}
    if seconds is not None and not 0 < seconds <= CENTURY:
        raise UsageError(f"--{name} {value}: use seconds above 0, up to {CENTURY}")
    return {name: seconds, f"{name}_at": None}


def _short(text: str, most: int = 60) -> str:
    return repr(text if len(text) <= most else text[: most - 1] + "…")
