"""Tasks that write down when they run and where, and what may be read there."""

import os
import select
import signal
import time
from pathlib import Path

from wsup import App, current_job

app = App()


def note(path: str, what: str) -> None:
    """One line, in one write, so that lines of several processes don't mix."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    line = (
        f"{what} {current_job().id} {Path.cwd().name} {time.clock_gettime(time.CLOCK_MONOTONIC)}\n"
    )
    os.write(fd, line.encode())
    os.close(fd)


def work(ledger: str, seconds: float, until: str, *, dies: bool) -> None:
    note(ledger, "begins")
    time.sleep(seconds)
    while until and not Path(until).exists():
        select.select([], [], [], 0.005)
    note(ledger, "ends")
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="few", max_running=3, queue="few")
def few(ledger: str, seconds: float = 0.0, until: str = "", dies: bool = False) -> None:
    work(ledger, seconds, until, dies=dies)


@app.task(name="hosted", per_host=2)
def hosted(ledger: str, seconds: float = 0.0, until: str = "") -> None:
    work(ledger, seconds, until, dies=False)


@app.task(name="paced", rate="40/second", burst=10)
def paced(ledger: str) -> None:
    note(ledger, "begins")


@app.task(name="free")
def free(ledger: str, seconds: float = 0.0) -> None:
    work(ledger, seconds, "", dies=False)


app.limit(queue="narrow", max_running=1)


def lines(ledger: Path) -> list[list[str]]:
    return [line.split() for line in ledger.read_text().splitlines()] if ledger.exists() else []


def most_at_once(ledger: Path, host: str | None = None) -> int:
    """How many jobs ran at once, at most, on all hosts or one."""
    running: set[str] = set()
    most = 0
    for what, job, where, _ in sorted(lines(ledger), key=lambda line: float(line[3])):
        if host in (None, where):
            (running.add if what == "begins" else running.discard)(job)
            most = max(most, len(running))
    return most


def starts(ledger: Path) -> list[float]:
    """When jobs began."""
    return sorted(float(at) for what, _, _, at in lines(ledger) if what == "begins")
