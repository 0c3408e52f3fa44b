"""An order and its e-mail, both or neither: the job is enqueued in the order's own transaction.

    export WSUP_DATABASE=postgresql://…  # or the address that `wsup start` prints without one
    wsup migrate
    wsup start --app orders:app          # in this folder
    python orders.py                     # in another terminal, same folder

Nothing has to look for orders without e-mails, and no e-mail is sent for an order that isn't there.
"""

import os

import psycopg

from wsup import App, Job, JobNotFound

DATABASE = os.environ.get("WSUP_DATABASE", "")
TABLE = "CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item text, customer text)"
INSERT = "INSERT INTO orders (item, customer) VALUES (%s, %s) RETURNING id"

app = App()


class OutOfStock(Exception):
    pass


@app.task(queue="mail", retries=5)
def confirm(order: int, customer: str) -> str:
    """Write to a customer."""
    return f"to {customer}: thank you for order {order}"


def order(connection: psycopg.Connection, item: str, customer: str) -> Job[str]:
    """Take an order and promise the e-mail, in the transaction that `connection` is in."""
    (number,) = connection.execute(INSERT, [item, customer]).fetchone() or (0,)
    return confirm.options(connection=connection).enqueue(number, customer)


def main() -> None:
    with psycopg.connect(DATABASE, autocommit=True) as connection:
        connection.execute(TABLE)

        with connection.transaction():
            job = order(connection, "umbrella", "ada@example.org")
        print(job.result(timeout=30))

        try:
            with connection.transaction():
                job = order(connection, "raincoat", "bob@example.org")
                raise OutOfStock("no raincoats left")
        except OutOfStock as error:
            print(f"order rolled back: {error}")
        try:
            job.status()
        except JobNotFound as error:
            print(f"and so is its e-mail: {error}")


if __name__ == "__main__":
    main()
