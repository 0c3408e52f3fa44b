"""Tasks that note when they begin and end, one line each: key, job, word."""

import os
import time

from wsup import App, current_job

app = App()


def note(ledger: str, *words: object) -> None:
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{' '.join(map(str, words))}\n".encode())
    os.close(file)


@app.task(name="visit")
def visit(ledger: str, key: str, seconds: float = 0.01) -> None:
    note(ledger, key, current_job().id, "begin")
    time.sleep(seconds)
    note(ledger, key, current_job().id, "end")
