"""`wsup status`: what the supervisor of this folder is doing."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from wsup.config.loading import load

from .control import ask
from .options import settings_options
from .output import printable, span, table

#: Home, then clear to the end: less flicker than clearing first.
REPAINT = "\x1b[H\x1b[J"
REPAINT_SECONDS = 1.0
#: Rows a subworker may fill with its async jobs, of which it may run thousands.
MOST_ROWS = 5

HEAD = ("SUBWORKER", "PID", "GEN", "STATE", "JOB", "TASK", "ATTEMPT", "SINCE", "DONE")

Status = Mapping[str, Any]


@click.command()
@settings_options("run_dir")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--watch", is_flag=True, help="Go on, every second, until Ctrl-C.")
def status(config_file: Path | None, run_dir: str | None, as_json: bool, watch: bool) -> None:
    """Show what the supervisor here is doing."""
    folder = Path(load({"run_dir": run_dir}, config_file).run_dir)
    with suppress(KeyboardInterrupt):
        while True:
            current: Status = ask(folder, "status")["status"]
            if as_json:
                click.echo(json.dumps(current, ensure_ascii=False))
            else:
                click.echo((REPAINT if watch else "") + report(current))
            if not watch:
                return
            time.sleep(REPAINT_SECONDS)


def report(status: Status) -> str:
    """A status as text: a header, and a row for each job of each subworker."""
    rows = [row for subworker in status["subworkers"] for row in _rows(subworker)]
    shown = table(HEAD, rows, right="SUBWORKER PID GEN JOB ATTEMPT SINCE DONE")
    return "\n".join([*_header(status), "", shown])


def _header(status: Status) -> Iterator[str]:
    rate, occupancy = status["rate"], status["occupancy"]
    database = printable(status["database"]) or "as libpq's variables say"
    yield (
        f"wsup {printable(status['version'])} on {printable(status['host'])}: "
        f"{status['state']}, pid {status['pid']}, up {span(status['uptime'])}, "
        f"generation {status['generation']}, supervisor {status['supervisor']}"
    )
    yield f"database   {database}{'' if status['connected'] else '  NOT CONNECTED'}"
    yield f"queues     {', '.join(map(printable, status['queues']))}"
    yield f"jobs/s     {rate[0]:.1f} (1 s)  {rate[1]:.1f} (15 s)  {rate[2]:.1f} (5 min)"
    yield (
        f"occupancy  {occupancy[0]:.0%} (15 s)  {occupancy[1]:.0%} (5 min)  "
        f"{occupancy[2]:.0%} (30 min)"
    )
    yield f"jobs       {status['queued']} queued, {status['done']} done, {status['failed']} failed"


def _rows(subworker: Status) -> Iterator[tuple[object, ...]]:
    jobs = sorted(subworker["jobs"], key=lambda job: -job["seconds"])
    about = (subworker["index"], subworker["pid"], subworker["generation"], subworker["state"])
    done = subworker["done"]
    if not jobs:
        yield (*about, None, None, None, None, done)
    for row, job in enumerate(jobs[:MOST_ROWS]):
        first = row == 0
        yield (
            *(about if first else ("",) * 4),
            job["id"],
            job["task"],
            job["attempt"],
            span(job["seconds"]),
            done if first else "",
        )
    if len(jobs) > MOST_ROWS:
        yield ("",) * 5 + (f"… and {len(jobs) - MOST_ROWS} more",) + ("",) * 3
