"""`python -m soak`, from the root of the repository: wsup at work while all under it is killed."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bench import block
from wsup.config.embedded import EmbeddedError

from . import report
from .errors import SoakError
from .plan import JOBS_A_MINUTE, MINUTES, Plan
from .run import Soak

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
#: Supervisors, if they have no database.
HTTP_HOSTS = 3
MINUTES_VARIABLE = "SOAK_MINUTES"


def number(least: float, most: float, kind: type[float] = float) -> Callable[[str], float]:
    """A type for argparse."""

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: give a number from {least:g} to {most:g}")
        return value

    return convert


def parser() -> argparse.ArgumentParser:
    plan = Plan()
    minutes = os.environ.get(MINUTES_VARIABLE) or str(MINUTES)
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    add = parser.add_argument
    add(
        "--minutes",
        type=number(0.1, 10_000),
        default=minutes,
        help=f"for how long, ${MINUTES_VARIABLE} (10)",
    )
    add("--jobs", type=number(1, 1e9, int), help=f"jobs to commit ({JOBS_A_MINUTE:,} a minute)")
    add("--http", action="store_true", help="supervisors without a database, over two servers")
    add("--tls", action="store_true", help="with --http: what is said there is encrypted")
    add("--hosts", type=number(1, 16, int), help="supervisors (2; 3 with --http)")
    add("--subworkers", type=number(1, 64, int), default=plan.subworkers, help="of each (8)")
    add("--lease", type=number(5, 3600), default=plan.lease, help="seconds (15)")
    add(
        "--backlog",
        type=number(1, 1e9, int),
        default=plan.backlog,
        help="ready jobs above which enqueueing waits (40,000)",
    )
    add(
        "--mixed",
        type=number(0.1, 10_000),
        default=plan.mixed,
        help="jobs a second that are no no-ops (40)",
    )
    add("--seed", type=number(0, 1e9, int), default=plan.seed, help="of every choice (1)")
    add("--write", action="store_true", help="put the table into docs/reliability.md")
    return parser


def main() -> None:
    options = parser()
    given = vars(options.parse_args())
    if given["tls"] and not given["http"]:
        options.error("--tls: only servers have it: give --http, too")
    must_write = given.pop("write")
    given["jobs"] = given["jobs"] or int(given["minutes"] * JOBS_A_MINUTE)
    given["hosts"] = given["hosts"] or (HTTP_HOSTS if given["http"] else Plan().hosts)
    plan = Plan(**given)
    signal.signal(signal.SIGTERM, _end)
    folder = Path(tempfile.mkdtemp(prefix="wsup-soak-"))
    try:
        run = soak(plan, folder)
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        print("interrupted; the server and its data are gone", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (SoakError, EmbeddedError, ValueError) as error:
        sys.exit(f"not finished: {error}\nledgers and logs: {folder}")
    print(report.text(run))
    if problems := run.findings.problems:
        print(report.offenders(problems, run.faults))
        sys.exit(f"\nledgers and logs: {folder}")
    shutil.rmtree(folder)
    if must_write:
        report.write(run)
        print(f"\nwritten: {block.PAGE.relative_to(block.PAGE.parents[1])}")


def soak(plan: Plan, folder: Path) -> report.Run:
    """One run, with nothing left of it but what is in `folder`."""
    one = Soak(plan, folder)
    try:
        minutes = f"{MINUTES_VARIABLE}={plan.minutes:g}"
        return one.run(" ".join([minutes, "python -m soak", *sys.argv[1:]]))
    finally:
        one.close()


def _end(signum: int, _frame: object) -> NoReturn:
    """TERM, too, must not leave a server behind."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
