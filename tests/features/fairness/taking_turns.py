"""An app whose tasks write down whose they are when they begin; queue "mail" is fair."""

import os
import time
from pathlib import Path

from wsup import App

app = App()
app.queue("mail", fair=True)


@app.task(name="send", queue="mail", retries=3, backoff=0)
def send(ledger: str, tenant: str, seconds: float = 0.0) -> None:
    fd = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{tenant}\n".encode())  # one write, so that lines of several processes don't mix
    os.close(fd)
    time.sleep(seconds)


def begun(ledger: Path) -> list[str]:
    """Whose jobs have begun, in their order."""
    return ledger.read_text().split() if ledger.exists() else []
