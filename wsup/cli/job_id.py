"""A job's id on the command line."""

import click


class JobId(click.IntRange):
    """A job's id, a bigint."""

    name = "job id"


ID = JobId(min=1, max=2**63 - 1)
