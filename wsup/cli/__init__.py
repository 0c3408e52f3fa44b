"""The command line: one module for each family of commands, wired in `main`.

What is slow to import (psycopg, the supervisor) is imported by the command that needs it.
"""

import click

from .config import config
from .demo import demo
from .enqueue import enqueue
from .group import WsupGroup
from .jobs import jobs
from .migrate import migrate
from .operate import pause, reload, resume, stop
from .start import start
from .status import status
from .systemd import systemd_unit

__all__ = ["main"]


@click.group(cls=WsupGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wsup", prog_name="wsup", message="%(prog)s %(version)s")
def main() -> None:
    """Background jobs out of PostgreSQL.

    \b
    wsup start --app pkg.module:app    run a supervisor and its subworkers
    wsup migrate                       bring the database to this version first
    """


for command in (
    start,
    stop,
    reload,
    pause,
    resume,
    status,
    migrate,
    enqueue,
    jobs,
    config,
    systemd_unit,
    demo,
):
    main.add_command(command)
