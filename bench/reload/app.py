"""The app of this measurement: a task that does nothing but note, past wsup, that it has run."""

from __future__ import annotations

import os
import time
from array import array
from pathlib import Path

from wsup import App

from .. import app as imported

#: The folder for the books, in the subworkers' environment.
BOOKS = "BENCH_BOOKS"
#: Bytes of a number in a book.
KIND = "q"

app = App()
#: As heavy to import as what `python -m bench` measures.
IMPORTED = imported.IMPORTED
#: The numbers of the jobs that this subworker has run, in memory: a write(2) for each would be
#: measured, too. Who is killed leaves no book, and its jobs are missed.
_ran = array(KIND)


@app.task
def counted(number: int) -> None:
    _ran.append(number)


@app.on_subworker_stop
def write_book() -> None:
    name = f"{os.getpid()}.{time.monotonic_ns()}"
    with (Path(os.environ[BOOKS]) / name).open("xb") as book:
        _ran.tofile(book)


def executions(folder: Path) -> array[int]:
    """The numbers of all jobs that were run, once for each time."""
    ran = array(KIND)
    for book in folder.iterdir():
        ran.frombytes(book.read_bytes())
    return ran
