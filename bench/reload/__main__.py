"""`python -m bench.reload`, from the root of the repository: what reloads cost at full speed."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import NoReturn

from wsup.config.embedded import EmbeddedError

from .. import block
from ..errors import BenchError
from . import report
from .measure import QUICK, Plan, measure

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.reload", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few reloads: does it all work?")
    parser.add_argument("--seconds", action="store_true", help="show the jobs of each second")
    parser.add_argument("--write", action="store_true", help="put the table in docs/reliability.md")
    return parser


def main() -> None:
    given = parser().parse_args()
    if given.write and given.quick:
        parser().error("--write documents full runs only: leave out --quick")
    signal.signal(signal.SIGTERM, _end)
    try:
        run = measure(QUICK if given.quick else Plan())
    except KeyboardInterrupt:
        print("interrupted; the server and its data are gone", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (BenchError, EmbeddedError) as error:
        sys.exit(f"no figures: {error}")
    if given.seconds:
        print("without reloads:", *run.undisturbed)
        print("while reloading:", *run.reloading)
    print(report.text(run))
    if not report.is_right(run):
        sys.exit(1)
    if given.write:
        report.write(run, " ".join(["python -m bench.reload", *sys.argv[1:]]))
        print(f"\nwritten: {block.PAGE.relative_to(block.PAGE.parents[1])}")


def _end(signum: int, _frame: object) -> NoReturn:
    """TERM, too, must not leave a server behind."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
