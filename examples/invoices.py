"""Invoices that fail, and an operator who sees why, mends it, and has them run again.

    wsup start --app invoices:app        # in this folder; it brings a PostgreSQL if none is named
    python invoices.py                   # in another terminal, same folder

What is done here in Python can be typed as well: `wsup queues pause invoices`, `wsup jobs failed`,
`wsup jobs retry --error FileNotFoundError`, `wsup jobs rerun 6 --args '{"customer": 6, …}'`.
"""

import time
from pathlib import Path

from wsup import App

RATE = Path("rate.txt")
PATIENCE = 30.0  # seconds

app = App()


@app.task(queue="invoices")
def bill(customer: int, hours: float) -> float:
    """What a customer owes. Needs to know the rate an hour."""
    if hours <= 0:
        raise ValueError(f"{hours} hours")
    return hours * float(RATE.read_text())


def wait_until_finished() -> None:
    deadline = time.monotonic() + PATIENCE
    while app.jobs(queue="invoices").count().keys() & {"ready", "waiting", "running"}:
        if time.monotonic() > deadline:
            raise SystemExit("nobody bills: does wsup start --app invoices:app run here?")
        time.sleep(0.01)


def main() -> None:
    invoices = app.queue("invoices")
    RATE.unlink(missing_ok=True)

    # Nothing starts before everything is there.
    invoices.pause()
    jobs = bill.enqueue_many([(customer, 6 - customer) for customer in range(1, 7)])
    print(f"paused: {app.jobs(jobs).count()}")
    invoices.resume()
    wait_until_finished()
    for found in app.jobs(jobs).failed():
        print(f"{found.jobs} jobs of {found.task} failed: {found.error}")

    # The rate was missing: once it is there, those that lacked it run again.
    RATE.write_text("80")
    lacking = app.jobs(jobs, error="FileNotFoundError")
    print(f"{lacking.retry(dry_run=True)} jobs would run again, {lacking.retry()} do")
    wait_until_finished()
    print(f"customer 1 owes {jobs[0].result(timeout=PATIENCE):.2f}")

    # The last one was asked for wrongly: what was asked for stays, a new job has other arguments.
    again = jobs[-1].rerun({"customer": 6, "hours": 2})
    print(f"customer 6 owes {again.result(timeout=PATIENCE):.2f}")
    print(f"{app.jobs(jobs, state='failed').purge()} job purged")


if __name__ == "__main__":
    main()
