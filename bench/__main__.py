"""`python -m bench`, from the root of the repository: wsup against PostgreSQL's own speed."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from . import depth, machine, report, rounds
from .errors import BenchError
from .figures import Figures
from .plan import Plan, planned
from .server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--rounds", type=at_least(1), help="times that every system is measured (3)"
    )
    parser.add_argument(
        "--jobs", type=at_least(1000), help="jobs in a floor run and a backlog (150,000)"
    )
    parser.add_argument("--quick", action="store_true", help="one small round: does it all work?")
    parser.add_argument("--write", action="store_true", help="write docs/floor.md anew")
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """A type for argparse."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"at least {least:,}")
        return value

    return number


def main() -> None:
    given = parser().parse_args()
    plan = planned(rounds=given.rounds, jobs=given.jobs, quick=given.quick)
    if given.write and not plan.is_full:
        parser().error("--write documents full runs only: 3 rounds of 150,000 jobs, or more")
    signal.signal(signal.SIGTERM, _end)
    try:
        run = measure(plan)
    except KeyboardInterrupt:
        print("interrupted; the server and its data are gone", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BenchError as error:
        sys.exit(f"no figures: {error}")
    print(report.text(run))
    if given.write:
        report.write(run)
        print(f"\nwritten: {report.PAGE.relative_to(report.PAGE.parents[1])}")


def measure(plan: Plan) -> report.Run:
    """All rounds, then the pulls, on a server that is gone afterwards."""
    started = time.monotonic()
    figures = Figures()
    with Server() as server:
        rounds.warm_up(server, plan)
        for number in range(1, plan.rounds + 1):
            print(f"round {number} of {plan.rounds}", file=sys.stderr)
            rounds.play(server, plan, figures)
        print("pulls from a deep table and a shallow one", file=sys.stderr)
        depth.measure(server, plan, figures)
        about = machine.described(server.version(), server.home)
    command = " ".join(["python -m bench", *sys.argv[1:]])
    return report.Run(command, plan, figures, about, time.monotonic() - started)


def _end(signum: int, _frame: object) -> NoReturn:
    """TERM, too, must not leave a server behind."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
