"""The command line in this process, as a shell sees it."""

import json
import re
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner, Result

from wsup.cli import main

#: Anything that runs a command line; see `wsup`.
Wsup = Callable[..., Result]


def wsup(*args: object, stdin: str | None = None) -> Result:
    """Run `wsup` with these arguments."""
    return CliRunner().invoke(main, [str(arg) for arg in args], stdin, prog_name="wsup")


def complaint(*args: object, code: int = 2) -> str:
    """The one line that a refused command says."""
    result = wsup(*args)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert re.fullmatch(r"wsup: [^\n]+\n", result.stderr)
    return result.stderr


def shown(job: int) -> dict[str, Any]:
    """What `wsup jobs show` tells of a job."""
    row: dict[str, Any] = json.loads(wsup("jobs", "show", job, "--json").stdout)
    return row
