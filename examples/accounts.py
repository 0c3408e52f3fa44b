"""Bookings of many accounts at once, and of each account one after the other.

    wsup start --app accounts:app        # in this folder; it brings a PostgreSQL if none is named
    python accounts.py                   # in another terminal, same folder

A booking reads a balance, and writes it back a little later: two of the same account at the same
time would lose one of them. The account is their key, so that this can't be, on however many hosts;
those of other accounts don't wait for it. `wsup keys list` shows who does.
"""

import time
from pathlib import Path

from wsup import App

ACCOUNTS = ("ada", "ben", "cleo")
BOOKINGS = 5

app = App()


@app.task
def book(account: str, amount: int) -> int:
    file = Path(f"{account}.balance")
    balance = int(file.read_text()) if file.exists() else 0
    time.sleep(0.02)
    file.write_text(str(balance + amount))
    return balance + amount


def main() -> None:
    for account in ACCOUNTS:
        Path(f"{account}.balance").unlink(missing_ok=True)
    jobs = {
        account: book.options(key=account).enqueue_many(
            [book.args(account, amount) for amount in range(1, BOOKINGS + 1)]
        )
        for account in ACCOUNTS
    }
    for account in ACCOUNTS:
        balances = [job.result(timeout=30) for job in jobs[account]]
        print(f"{account}: {', '.join(map(str, balances))}")
    # A key may let several in: of audits, whosever they are, three run at once.
    audit = book.options(key="audit", key_limit=3, priority=-1).enqueue("audit", 0)
    print(f"and the audit: {audit.result(timeout=30)}")


if __name__ == "__main__":
    main()
