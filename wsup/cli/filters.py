"""Which jobs a command is for: by their IDs, or by what they have in common."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from wsup.config.errors import UsageError
from wsup.states import STATES

if TYPE_CHECKING:
    from wsup.jobs import Filter

Function = TypeVar("Function", bound=Callable[..., Any])

NAMES: Final = ("state", "queue", "task", "key", "error", "since", "before")
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType["datetime | timedelta"]):
    """A time, or how long ago it was."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime | timedelta:
        try:
            if ago := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value):
                return timedelta(**{UNITS[ago[2]]: float(ago[1])})
            return datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            self.fail(f"{value!r}: use 90s, 15m, 2h or 7d ago, or a time like 2030-01-31T08:00")


def filter_options(
    states: Sequence[str] = STATES, *, error: bool = True
) -> Callable[[Function], Function]:
    """Options that choose jobs; `states` are those that make sense for the command."""
    options = [
        click.option("--queue", help="Only those of this queue."),
        click.option("--task", help="Only those of this task."),
        click.option("--key", help="Only those with this key."),
        click.option(
            "--since",
            type=Moment(),
            metavar="TIME",
            help="Only those that ended then or later (2h: two hours ago); of those that have not, "
            "which were enqueued then.",
        ),
        click.option("--before", type=Moment(), metavar="TIME", help="… or earlier than that."),
    ]
    if states:
        kind = click.Choice(states)
        options.insert(0, click.option("--state", type=kind, help="Only those that stand there."))
    if error:
        options.append(
            click.option("--error", metavar="TYPE", help="Only those that failed with it.")
        )

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def chosen(ids: Sequence[int], options: dict[str, Any]) -> "Filter":
    """What is said by IDs or by the options above, which are taken out. Raises UsageError."""
    from wsup.jobs import Filter

    wanted = {name: options.pop(name, None) for name in NAMES}
    given = [f"--{name} {value}" for name, value in wanted.items() if value is not None]
    if ids and given:
        raise UsageError(f"{given[0]}: job {ids[0]} is named by its ID: leave one of them out")
    return Filter(tuple(dict.fromkeys(ids)) or None, **wanted)
