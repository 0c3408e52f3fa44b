"""Jobs that are kept for a second after they have ended, instead of a week.

    wsup start --app visits:app --retention-succeeded 1 --poll 1        # in this folder
    python visits.py                                                    # in another terminal

What is to be kept for longer belongs into a table, or a file, of one's own.
"""

import time
from pathlib import Path

from wsup import App
from wsup.errors import JobNotFound

BOOK = Path("visits.txt")
PATIENCE = 30.0  # seconds

app = App()


@app.task
def visit(page: str) -> int:
    """Write a visit down; returns how many there are."""
    with BOOK.open("a+") as book:
        book.write(f"{page}\n")
        book.seek(0)
        return len(book.readlines())


def main() -> None:
    BOOK.unlink(missing_ok=True)
    job = visit.enqueue("/index.html")
    print(f"visit {job.result(timeout=PATIENCE)}")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            job.status()
        except JobNotFound as error:
            print(error)
            print(f"written down: {BOOK.read_text().strip()}")
            return
        time.sleep(0.05)
    raise SystemExit("the job is still there: does wsup start --retention-succeeded 1 run here?")


if __name__ == "__main__":
    main()
