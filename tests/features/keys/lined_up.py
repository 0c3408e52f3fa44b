"""Tasks that write down when they run, and what may be read there."""

import os
import select
import signal
import time
from collections.abc import Collection
from pathlib import Path

from wsup import App, Snooze, current_job

app = App()


def note(path: str, what: str, key: str) -> None:
    """One line, in one write, so that lines of several processes don't mix."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{what} {key} {current_job().id}\n".encode())
    os.close(fd)


@app.task(name="work", retries=1, backoff=0.2)
def work(ledger: str, key: str, seconds: float = 0.0, until: str = "", how: str = "") -> None:
    """Run for so long, or until there is such a file; end in one way or another, once."""
    note(ledger, "begins", key)
    time.sleep(seconds)
    while until and not Path(until).exists():
        select.select([], [], [], 0.005)
    if how and current_job().attempt == 1 and not Path(f"{ledger}.{how}").exists():
        Path(f"{ledger}.{how}").touch()
        note(ledger, "ends", key)
        leave(how)
    note(ledger, "ends", key)


def leave(how: str) -> None:
    match how:
        case "fails":
            raise ValueError("no luck")
        case "snoozes":
            raise Snooze(0.2)
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        case "goes on":
            time.sleep(600)


def most_at_once(ledger: Path, key: str, but: Collection[int] = ()) -> int:
    """How many jobs of a key ran at once, at most, not counting some; one that was interrupted and
    began again ran on."""
    running: set[str] = set()
    most = 0
    for what, whose, job in map(str.split, ledger.read_text().splitlines()):
        if whose == key and int(job) not in but:
            (running.add if what == "begins" else running.discard)(job)
            most = max(most, len(running))
    return most


def begun(ledger: Path, key: str | None = None) -> list[int]:
    """The jobs in the order in which they began."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    parts = [line.split() for line in lines]
    return [int(job) for what, whose, job in parts if what == "begins" and key in (None, whose)]
