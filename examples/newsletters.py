"""Newsletters of many tenants, who take turns: a long list keeps nobody else waiting.

    wsup start --app newsletters:app     # in this folder; it brings a PostgreSQL if none is named
    python newsletters.py                # in another terminal, same folder

One tenant writes to 500 people, and then another one to 3. The queue is fair, so that they take
turns: the three are done while the long list has hardly begun. `wsup queues list` shows what waits.
"""

import time

from wsup import App

#: Letters of the long list that may be sent before the short one is through.
FEW = 50

app = App()
app.queue("mail", fair=True, ageing="10m")


@app.task(queue="mail")
def send(address: str) -> float:
    """Returns when it was sent."""
    time.sleep(0.01)
    return time.monotonic()


def main() -> None:
    long = send.options(key="tenant 1").enqueue_many(
        [send.args(f"reader{n}@example.org") for n in range(500)]
    )
    short = send.options(key="tenant 2").enqueue_many(
        [send.args(f"friend{n}@example.com") for n in range(3)]
    )
    done = max(job.result(timeout=60) for job in short)
    sent = [job.result(timeout=60) for job in long]
    before = sum(at < done for at in sent)
    print(f"tenant 2 had to wait for {'few' if before < FEW else before} of 500 letters")


if __name__ == "__main__":
    main()
