"""A long job that says how far it is, and goes on where it was when it is interrupted.

    wsup start --app pages:app        # in this folder; it brings a PostgreSQL if none is named
    python pages.py                   # in another terminal, same folder

`wsup jobs show ID --follow` shows the same.
"""

import os
import signal
import time

from wsup import App, Progress, current_job

PATIENCE = 30.0  # seconds
FATAL = 30  # the page after which the first attempt is killed

app = App()


@app.task(retries=1, backoff=0.1)
def convert(pages: int) -> int:
    """Convert the pages; returns the first one of the last attempt."""
    job = current_job()
    first = job.last_checkpoint(int) or 0
    for page in range(first, pages):
        time.sleep(0.01)
        job.checkpoint(page + 1)
        job.progress((page + 1) / pages, f"page {page + 1} of {pages}")
        if page + 1 == FATAL and job.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)  # the machine is short of memory, say
    return first


def main() -> None:
    job = convert.enqueue(100)
    seen: Progress | None = None
    deadline = time.monotonic() + PATIENCE
    while job.status() not in ("succeeded", "failed"):
        if time.monotonic() > deadline:
            raise SystemExit("nothing is converted: does wsup start --app pages:app run here?")
        seen = job.progress() or seen
        time.sleep(0.05)
    print(f"went on at page {job.result() + 1} after it was killed")
    last = job.progress()
    if seen is not None and last is not None:
        print(f"attempt {last.attempt}: {last.fraction:.0%}, {last.message}")


if __name__ == "__main__":
    main()
