"""`wsup systemd-unit`."""

import getpass
import re
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import click

from wsup.config.loading import FILE, load

from .options import settings_options
from .output import say

#: The first systemd that waits for a reload to end.
NOTIFY_RELOAD = 253
#: A stop takes the grace time, then some for the last commit; systemd must not cut that short.
AFTER_GRACE_SECONDS = 15


@click.command("systemd-unit")
@settings_options("app")
@click.option("--user", metavar="NAME", help="Whom it runs as.  [default: you]")
@click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Where the app and wsup.toml are.  [default: here]",
)
@click.option("--serve", metavar="FLAGS", help="A unit for wsup serve with these flags.")
def systemd_unit(
    config_file: Path | None, app: str | None, user: str | None, directory: Path, serve: str | None
) -> None:
    """Print a systemd unit for a supervisor, or for a server.

    It fits this Python, this systemd and the app in the folder.
    """
    directory = directory.resolve()
    user = user or getpass.getuser()
    values = {"USER": user, "DIRECTORY": str(directory).replace("%", "%%")}
    if serve is not None:
        command = [*_program(), "serve", *shlex.split(serve)]
        values["COMMAND"] = " ".join(map(_quoted, command))
        _print("wsup-serve.service", values)
        return
    file = config_file or (directory / FILE if (directory / FILE).exists() else None)
    # Not this shell's environment: the unit will not have it.
    settings = load({"app": app}, file, env={})
    if not settings.app:
        say("no app is named: add app = … to wsup.toml, or give --app pkg.module:app")
    if user == "root":
        say("it would run your tasks as root: give --user NAME")
    command = [*_program(), "start"]
    if app:
        command += ["--app", app]
    if config_file:
        command += ["--config", str(config_file.resolve())]
    values |= {
        "TYPE": _type(_systemd_version()),
        "COMMAND": " ".join(map(_quoted, command)),
        "STOP_SECONDS": f"{settings.grace + AFTER_GRACE_SECONDS:g}",
    }
    _print("wsup.service", values)


def _print(template: str, values: dict[str, str]) -> None:
    unit = (files("wsup.config") / template).read_text(encoding="utf-8")
    click.echo(re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], unit), nl=False)


def _program() -> list[str]:
    """How to start this wsup, wherever it is installed."""
    script = Path(sys.executable).with_name("wsup")
    return [str(script)] if script.exists() else [sys.executable, "-m", "wsup"]


def _systemd_version() -> int | None:
    try:
        shown = subprocess.run(
            ["systemctl", "--version"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"systemd (\d+)", shown)
    return int(found[1]) if found else None


def _type(version: int | None) -> str:
    if version is not None and version >= NOTIFY_RELOAD:
        return "Type=notify-reload"
    return "Type=notify\nExecReload=/bin/kill -HUP $MAINPID"


def _quoted(argument: str) -> str:
    """`argument` as systemd reads it in ExecStart."""
    argument = argument.replace("\\", "\\\\").replace('"', '\\"')
    argument = argument.replace("%", "%%").replace("$", "$$")
    return f'"{argument}"' if re.search(r"[\s;'\\\"]", argument) else argument
