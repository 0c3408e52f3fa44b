"""What is seen while the demo runs: a display that lives, or plain lines where none can."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

#: Seconds between two lines where there is no terminal.
LINE_SECONDS: Final = 2.0
#: Characters that a line may have there; nothing says how wide the reader's screen is.
LINE_WIDTH: Final = 100
BAR_WIDTH: Final = 40


class Progress:
    """How far the demo has come."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed = total, 0, 0
        #: The file of each job, by the job's id.
        self.files: Mapping[int, str] = {}
        #: As `wsup status --json` has them.
        self.subworkers: Sequence[Mapping[str, Any]] = ()
        self._started = time.monotonic()

    def update(self, done: int, failed: int, subworkers: Sequence[Mapping[str, Any]]) -> None:
        self.done, self.failed, self.subworkers = done, failed, subworkers

    def __str__(self) -> str:
        rate = self.done / (time.monotonic() - self._started)
        return f"{self.done:,} of {self.total:,} jobs, {rate:,.0f} jobs/s, {self.failed} failed"


class Screen(Protocol):
    """Shows progress, between `start` and `stop`."""

    def start(self) -> None: ...
    def show(self, progress: Progress) -> None: ...
    def stop(self) -> None: ...


def make_console() -> Console:
    """Standard output. Names out of the library are printed as they are, never as mark-up."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    width = None if sys.stdout.isatty() else LINE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def make_screen(console: Console) -> Screen:
    """The best one for this terminal, or the lack of one."""
    # CI may ask for colours (FORCE_COLOR) without having a terminal.
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        return Display(console)
    return Lines(console)


class Lines:
    """A line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def start(self) -> None:
        self._next = time.monotonic() + LINE_SECONDS

    def show(self, progress: Progress) -> None:
        if time.monotonic() >= self._next:
            self._next += LINE_SECONDS
            self._console.print(f"  {progress}")

    def stop(self) -> None:
        pass


class Display:
    """A bar, and what each subworker does; it disappears at the end."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def start(self) -> None:
        self._live.start()

    def show(self, progress: Progress) -> None:
        self._live.update(_picture(progress), refresh=True)

    def stop(self) -> None:
        self._live.stop()


def _picture(progress: Progress) -> RenderableType:
    bar = Table.grid(padding=(0, 2))
    bar.add_row(ProgressBar(progress.total, progress.done, width=BAR_WIDTH), str(progress))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("subworker", "pid", "done"):
        table.add_column(column, justify="right")
    table.add_column("measures", no_wrap=True)
    for subworker in progress.subworkers:
        jobs = (progress.files.get(job["id"], "") for job in subworker["jobs"])
        row = (subworker["index"], subworker["pid"], subworker["done"], ", ".join(jobs))
        table.add_row(*(Text(str(cell)) for cell in row))
    return Group(Text(), bar, Text(), table)
