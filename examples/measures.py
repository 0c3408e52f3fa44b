"""Jobs by the clock: every half second, and every night at three, Vienna's time.

    wsup start --app measures:app        # in this folder; it brings a PostgreSQL if none is named
    python measures.py                   # in another terminal, same folder

There is no process to start for it: whichever supervisor is there sees to the ticks, and of many
supervisors one enqueues each of them. `wsup schedules list` shows what comes next.
"""

import time
from datetime import datetime
from pathlib import Path

from wsup import App, current_job

MEASURES = Path("measures.txt")
ENOUGH = 3
PATIENCE = 30.0  # seconds

app = App()


@app.schedule(every=0.5, args=("kitchen",))
@app.task
def measure(room: str) -> None:
    """Note which tick this is: the time that was meant, however late the job runs."""
    tick = current_job().scheduled_for
    if tick is not None:  # enqueued by a schedule, not by hand
        with MEASURES.open("a") as file:
            file.write(f"{tick.isoformat()} {room}\n")


@app.schedule("0 3 * * *", timezone="Europe/Vienna", catch_up="last")
@app.task
def forget() -> None:
    """Once a night; also if the machine was off at three, as soon as it is on again."""
    MEASURES.unlink(missing_ok=True)


def main() -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = MEASURES.read_text().splitlines() if MEASURES.exists() else []
        if len(lines) >= ENOUGH:
            first, second, third = (
                datetime.fromisoformat(line.split()[0]) for line in lines[:ENOUGH]
            )
            print(f"measured, again {(second - first).total_seconds():g} s later,")
            print(f"and again {(third - second).total_seconds():g} s later")
            return
        time.sleep(0.05)
    raise SystemExit("nothing was measured: does wsup start --app measures:app run here?")


if __name__ == "__main__":
    main()
