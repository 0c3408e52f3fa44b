"""`wsup demo`, from an empty folder to a summary, and back to nothing."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from platform import python_version
from tempfile import TemporaryDirectory
from typing import Any, Final

from psycopg import Connection
from rich.console import Console

from wsup.demo.interrupts import Interrupts
from wsup.demo.report import query, report
from wsup.demo.screen import Progress, Screen, make_console, make_screen
from wsup.demo.stage import SUBWORKERS, Supervisor, check_installed, database
from wsup.demo.tasks import app, library_files, measure
from wsup.sql.connect import connect

#: Seconds between two looks at how far it has come.
LOOK_AGAIN: Final = 0.1
#: Seconds without a job ending after which something must be wrong.
PATIENCE: Final = 90.0
#: As shells have it for a program that was ended by Ctrl-C.
INTERRUPTED: Final = 130


def run() -> int:
    """Run the demo; returns the exit code. Raises WsupError."""
    check_installed()
    with Interrupts() as interrupts:
        try:
            _play(make_console(), interrupts)
        except KeyboardInterrupt:
            print("wsup: interrupted; everything that the demo started is gone", file=sys.stderr)
            return INTERRUPTED
    return 0


def _play(console: Console, interrupts: Interrupts) -> None:
    files = library_files()
    what = f"{len(files):,} source files of Python {python_version()}'s standard library"
    console.print(f"A job for each of the {what}", style="bold")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="wsup-demo-")))
        dsn = stack.enter_context(database(folder, interrupts))
        connection = stack.enter_context(connect(dsn))
        server = connection.info.parameter_status("server_version")
        console.print(f"  PostgreSQL {server} of its own is up and migrated")
        supervisor = Supervisor(folder, dsn, interrupts)
        stack.callback(supervisor.stop)
        supervisor.start()
        supervisor.wait_until_ready()
        console.print(f"  a supervisor with {SUBWORKERS} subworkers is ready")
        app.database = dsn
        stack.callback(app.close)
        progress = Progress(len(files))
        jobs = measure.enqueue_many(measure.args(file) for file in files)
        progress.files = {job.id: file for job, file in zip(jobs, files, strict=True)}
        _follow(progress, make_screen(console), supervisor, connection)
        report(console, connection)


def _follow(
    progress: Progress, screen: Screen, supervisor: Supervisor, connection: Connection[Any]
) -> None:
    """Show what happens until all jobs are over. Raises WsupError if they don't come to that."""
    moved = time.monotonic()
    screen.start()
    try:
        while progress.done < progress.total:
            time.sleep(LOOK_AGAIN)
            status = supervisor.status()
            done, failed = query(connection, "progress")[0]
            if done > progress.done:
                moved = time.monotonic()
            elif time.monotonic() - moved > PATIENCE:
                raise supervisor.failure(f"has finished no job for {PATIENCE:g} s")
            progress.update(done, failed, status["subworkers"] if status else ())
            screen.show(progress)
    finally:
        screen.stop()
