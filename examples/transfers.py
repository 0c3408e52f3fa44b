"""A task that decides itself how its job goes on: later, once more, or not at all.

    wsup start --app transfers:app       # in this folder; it brings a PostgreSQL if none is named
    python transfers.py                  # in another terminal, same folder

Snooze, Retry and Cancel are exceptions, so they can be raised from anywhere below the task.
"""

from datetime import UTC, datetime, timedelta

from wsup import App, Cancel, JobCancelled, JobFailed, Retry, Snooze, current_job

app = App()


class BankIsBusy(Exception):
    """The bank asks to be left alone for a moment."""


def bank(account: str, attempt: int) -> str:
    """Pretends to be a bank that is busy when it is first asked; for account 13, always."""
    if attempt == 1 or account == "13":
        raise BankIsBusy
    return f"booked to account {account}"


@app.task(retries=2)
def transfer(account: str, opens: datetime) -> str:
    """Transfer money to an account, not before the bank opens."""
    closed_for = opens - datetime.now(UTC)
    if closed_for > timedelta(0):
        raise Snooze(closed_for)  # not the job's fault: this is no attempt
    if not account.isdigit():
        raise Cancel(f"there is no account {account!r}")  # it won't get better
    job = current_job()
    try:
        return f"{bank(account, job.attempt)} at attempt {job.attempt}"
    except BankIsBusy:
        # Counts as an attempt. Any other exception does, too, and waits as the task's backoff says.
        raise Retry(after=0.1, reason="the bank is busy") from None


def main() -> None:
    opens = datetime.now(UTC) + timedelta(seconds=0.5)
    jobs = {account: transfer.enqueue(account, opens) for account in ("7", "seven", "13")}
    for account, job in jobs.items():
        try:
            print(f"{account}: {job.result(timeout=30)}")
        except JobCancelled as error:
            print(f"{account}: cancelled, {error.reason}")
        except JobFailed as error:
            print(f"{account}: failed {error.attempt} times, {error.message}")


if __name__ == "__main__":
    main()
