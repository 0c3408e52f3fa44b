"""`python -m bench.peers`, from the root of the repository: wsup and its peers side by side."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .. import machine
from ..errors import BenchError
from ..server import Server
from . import agents, plan, plots, report, results, runner, scale, system
from .calibrate import turns_per_millisecond
from .install import CACHE
from .redis import Redis
from .stage import Bench
from .statements import statement

if TYPE_CHECKING:
    from .install import Installed
    from .plan import Plan
    from .system import System

INTERRUPTED = 130
#: Connections, where as many processes as 20 supervisors have subworkers each need one.
MANY = "300"
LATEST = CACHE / "results.jsonl"


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", help="workloads, by commas: noop,cpu")
    parser.add_argument("--peers", metavar="NAMES", help="systems, by commas, in this order")
    parser.add_argument("--rounds", type=int, help="times that each is measured")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a tenth of the jobs")
    parser.add_argument(
        "--beside", type=int, metavar="N", help="so many jobs in the way of others, or finished"
    )
    parser.add_argument("--systems", type=Path, default=system.SYSTEMS, help="another folder")
    parser.add_argument("--long", action="store_true", help="the workloads that take long")
    parser.add_argument("--write", action="store_true", help="write the page in docs/ anew")
    parser.add_argument("--render", type=Path, metavar="FILE", help="measure nothing: show these")
    return parser


def main() -> None:
    given = parser().parse_args()
    signal.signal(signal.SIGTERM, _end)
    try:
        if given.write:
            plots.pyplot()  # before, not after an hour
        chosen = plan.chosen(
            given.only, given.rounds, given.scale,
            long=given.long, named=bool(given.peers), beside=given.beside,
        )  # fmt: skip
        systems = system.load_all(given.peers.split(",") if given.peers else None, given.systems)
        file = given.render or measure(chosen, chosen.systems(systems))
        print(report.text(results.read(file)))
        if given.write:
            print(f"\nwritten: {', '.join(report.write(file))}")
    except KeyboardInterrupt:
        print("interrupted; the server and its data are gone", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BenchError as error:
        sys.exit(f"no figures: {error}")


def measure(chosen: Plan, systems: list[System], file: Path = LATEST) -> Path:
    """Run it all; the raw results are in the file that is returned."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    installed, missing = runner.install_all(systems)
    if not installed:
        raise BenchError(f"nothing could be installed: {' | '.join(missing.values())}")
    scaled = any(name in (*scale.PAUSES, agents.NAME) for name in chosen.workloads)
    settings = {"max_connections": MANY} if scaled else {}
    with ExitStack() as stack:
        server = stack.enter_context(Server(settings))
        with server.connect() as connection:
            connection.execute(statement("prepare_server"))
        wanted = any(one.system.redis for one in installed)
        redis = stack.enter_context(Redis(server.folder)) if wanted else None
        bench = Bench(server, redis, turns_per_millisecond(), chosen.scale)
        results.append(file, _about(bench, installed, missing, settings))
        for measured in runner.play(bench, chosen, installed):
            results.append(file, measured)
    return file


def _about(
    bench: Bench, installed: list[Installed], missing: dict[str, str], settings: dict[str, str]
) -> results.About:
    versions = machine.described(bench.server.version(), bench.server.home)
    versions.append(("1 ms of CPU", f"{bench.turns:,} turns of an empty loop, at best"))
    versions += [(f"PostgreSQL: {name}", setting) for name, setting in settings.items()]
    if bench.redis is not None:
        versions.append(("Redis", f"{bench.redis.version()}, default settings"))
    return results.About(
        command=" ".join(["python -m bench.peers", *sys.argv[1:]]),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=versions,
        installed={one.system.name: one.packages for one in installed},
        missing=missing,
        cores=len(os.sched_getaffinity(0)),
    )


def _end(signum: int, _frame: object) -> NoReturn:
    """TERM, too, must not leave a server behind."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
