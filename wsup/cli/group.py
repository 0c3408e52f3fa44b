"""What all commands share: errors in one line, and what exit codes mean.

0 done, 1 it didn't work out, 2 it was asked for wrongly.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from wsup.config.errors import UsageError, WsupError

from .output import printable, printable_lines

#: click's own way to show the help of a group that was called without a command.
_HELP_INSTEAD = getattr(click.exceptions, "NoArgsIsHelpError", ())


class Complaint(click.ClickException):
    """It was asked for wrongly: one line on stderr, and exit code 2.

    A message of more lines quotes something, such as the traceback of an app that can't be
    imported. It is shown above the line, which is made of the first and the last.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        lines = [line for line in message.splitlines() if line.strip()]
        self.quoted = "\n".join(lines[1:])
        super().__init__(" ".join(lines[:1] + lines[1:][-1:]))

    def show(self, file: IO[Any] | None = None) -> None:
        if self.quoted.count("\n"):
            click.echo(printable_lines(self.quoted), file=file, err=file is None)
        click.echo(f"wsup: {printable(self.message)}", file=file, err=file is None)


class Failure(Complaint):
    """It didn't work out."""

    exit_code = 1


class WsupGroup(click.Group):
    """A group whose commands, in the order in which they were added, may raise any WsupError."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with complaining():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with complaining():
            return super().invoke(ctx)


@contextmanager
def complaining() -> Iterator[None]:
    """Turns the errors that a user can mend, and those of the database, into complaints."""
    try:
        yield
    except _HELP_INSTEAD:
        raise
    except click.UsageError as error:
        raise Complaint(f"{error.format_message()} (see {_help(error)})") from error
    except UsageError as error:
        raise Complaint(str(error)) from error
    except WsupError as error:
        raise Failure(str(error)) from error
    except UnicodeEncodeError as error:
        # What isn't UTF-8 on the command line arrives as lone surrogates.
        raise Complaint(f"{error.object!r} is not UTF-8") from error
    except Exception as error:
        # Only a command that has imported psycopg can meet its errors.
        psycopg = sys.modules.get("psycopg")
        if psycopg is None or not isinstance(error, psycopg.Error):
            raise
        from wsup.sql.connect import explain

        raise Failure(str(explain(error))) from error


def _help(error: click.UsageError) -> str:
    return f"{error.ctx.command_path if error.ctx else 'wsup'} --help"
