"""Money is moved exactly once, although the process that moves it is killed again and again.

    export WSUP_DATABASE=postgresql://…  # or the address that `wsup start` prints without one
    wsup migrate
    wsup start --app payments:app       # in this folder
    python payments.py                  # in another terminal, same folder

The task writes to the database that wsup's jobs are in, and ends its job in the same transaction.
So there is no moment at which the money is moved and the job would run again.
"""

import os
import signal

import psycopg

from wsup import App, current_job

DATABASE = os.environ.get("WSUP_DATABASE", "")
TABLE = "CREATE TABLE IF NOT EXISTS account (name text PRIMARY KEY, cents bigint NOT NULL)"
OPEN = "INSERT INTO account VALUES ('ada', 10000), ('bob', 0) ON CONFLICT DO NOTHING"
ADD = "UPDATE account SET cents = cents + %s WHERE name = %s RETURNING cents"
JOBS = 30

app = App()


def crash() -> None:
    """As if the machine had failed."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(retries=3, backoff=0)
def move(number: int, cents: int) -> int:
    """Ada pays Bob. Returns what Bob has then."""
    crash_at = ("", "half", "end")[number % 3] if current_job().attempt == 1 else ""
    with current_job().transaction() as connection:
        connection.execute(ADD, [-cents, "ada"])
        if crash_at == "half":
            crash()  # nothing is written yet: the job runs again
        (balance,) = connection.execute(ADD, [cents, "bob"]).fetchone() or (0,)
        current_job().set_result(balance)
    if crash_at == "end":
        crash()  # all is written, the job's success, too: it does not run again
    return int(balance)


def balances(connection: psycopg.Connection) -> dict[str, int]:
    rows = connection.execute("SELECT name, cents FROM account").fetchall()
    return dict(rows)


def main() -> None:
    with psycopg.connect(DATABASE, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute(OPEN)
        before = balances(connection)
        jobs = move.enqueue_many([(number, 100) for number in range(JOBS)])
        seen = {job.result(timeout=60) - before["bob"] for job in jobs}
        after = balances(connection)
    print(f"{JOBS} jobs have moved {after['bob'] - before['bob']} cents")
    print(f"Ada has {before['ada'] - after['ada']} less")
    print(f"{len(seen)} balances were seen, the highest is {max(seen)} above the first")


if __name__ == "__main__":
    main()
