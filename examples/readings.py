"""Many small jobs in one call: readings of sensors, written by one statement for up to 100 of them.

    export WSUP_DATABASE=postgresql://…  # or the address that `wsup start` prints without one
    wsup migrate
    wsup start --app readings:app        # in this folder
    python readings.py                   # in another terminal, same folder

Each reading is a job of its own, with its own result, attempts and failures; only the call is
shared.
"""

import os
from dataclasses import dataclass

import psycopg

from wsup import App, JobFailed

DATABASE = os.environ.get("WSUP_DATABASE", "")
TABLE = "CREATE TABLE IF NOT EXISTS reading (id serial PRIMARY KEY, sensor text, degrees real)"
INSERT = """
    INSERT INTO reading (sensor, degrees)
    SELECT * FROM unnest(%s::text[], %s::real[]) RETURNING id
    """
ABSOLUTE_ZERO = -273.15

app = App()


@dataclass
class Reading:
    sensor: str
    degrees: float


@app.task(batch=100, batch_wait=0.1, retries=3)
def store(readings: list[Reading]) -> list[int | Exception]:
    """Store up to 100 readings; returns each one's number, or what is wrong with it."""
    good = [reading for reading in readings if reading.degrees >= ABSOLUTE_ZERO]
    with psycopg.connect(DATABASE) as connection:
        columns = [[r.sensor for r in good], [r.degrees for r in good]]
        rows = connection.execute(INSERT, columns).fetchall()
    print(f"{len(rows)} readings in one statement")
    numbers = iter(rows)
    return [
        next(numbers)[0] if reading in good else ValueError(f"{reading.degrees} degrees")
        for reading in readings
    ]


def main() -> None:
    with psycopg.connect(DATABASE, autocommit=True) as connection:
        connection.execute(TABLE)
    broken = store.options(retries=0).enqueue(Reading("cellar", -300.0))
    jobs = store.enqueue_many([(Reading("roof", n / 10),) for n in range(1000)])
    numbers = {job.result(timeout=30) for job in jobs}
    print(f"{len(numbers)} readings are stored")
    try:
        broken.result(timeout=30)
    except JobFailed as error:
        print(f"one is not: {error.message}")


if __name__ == "__main__":
    main()
