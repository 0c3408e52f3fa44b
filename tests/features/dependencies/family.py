"""Tasks that look at what they have waited for, and a ledger of when they ran."""

import os
import time
from typing import Any

from wsup import App, current_job

app = App()


def note(path: str) -> None:
    """One line, in one write, so that lines of several processes don't mix."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{current_job().id} {current_job().attempt} {os.getpid()}\n".encode())
    os.close(fd)


@app.task(name="step", retries=5, backoff=0.01)
def step(ledger: str, milliseconds: float = 0.0) -> None:
    time.sleep(milliseconds / 1000)
    note(ledger)


@app.task(name="stamp")
def stamp() -> list[float]:
    """When it began, on a clock that all processes of the host share, and when it ended."""
    now = time.monotonic()
    return [now, time.monotonic()]


@app.task(name="give")
def give(value: Any) -> Any:
    return value


@app.task(name="fail")
def fail() -> None:
    raise ValueError("no luck")


@app.task(name="seen", timeout=60, retries=1, backoff=0.01)
def seen(again: bool = False) -> list[Any]:
    """What it sees of its parents; with `again`, at its second attempt."""
    if again and current_job().attempt == 1:
        raise ValueError("once more")
    return [[parent.id, parent.state, parent.result] for parent in current_job().parents]


@app.task(name="seen_async")
async def seen_async() -> list[Any]:
    return [[parent.id, parent.state, parent.result] for parent in current_job().parents]


@app.task(name="too_large")
def too_large() -> list[str]:
    found = []
    for parent in current_job().parents:
        try:
            found.append(str(parent.result))
        except LookupError as error:
            found.append(str(error))
    return found
