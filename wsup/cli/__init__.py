"""The command line: one module for each family of commands, wired in `main`.

What is slow to import (psycopg, the supervisor) is imported by the command that needs it.
"""

import click

from . import (
    config,
    demo,
    enqueue,
    follow,
    jobs,
    keys,
    limits,
    migrate,
    operate,
    prune,
    queues,
    roles,
    schedules,
    serve,
    start,
    status,
    systemd,
    token,
)
from .argv import hide_passwords
from .group import WsupGroup

__all__ = ["main"]


@click.group(cls=WsupGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wsup", prog_name="wsup", message="%(prog)s %(version)s")
def main() -> None:
    """Background jobs out of PostgreSQL.

    \b
    wsup start --app pkg.module:app    run a supervisor and its subworkers
    wsup migrate                       bring the database to this version first
    """
    hide_passwords()


for command in (
    start.start,
    operate.stop,
    operate.reload,
    operate.pause,
    operate.resume,
    status.status,
    migrate.migrate,
    roles.roles,
    enqueue.enqueue,
    jobs.jobs,
    queues.queues,
    prune.prune,
    keys.keys,
    limits.limits,
    schedules.schedules,
    serve.serve,
    token.token,
    config.config,
    systemd.systemd_unit,
    demo.demo,
):
    main.add_command(command)
jobs.jobs.add_command(follow.logs)
