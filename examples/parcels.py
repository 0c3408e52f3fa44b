"""A carrier whose service takes two calls at once, and ten a second.

    wsup start --app parcels:app         # in this folder; it brings a PostgreSQL if none is named
    python parcels.py                    # in another terminal, same folder

However many hosts run this, no more than two parcels are announced at once. Their tracking has a
limit in time: five calls may be saved up, and ten come each second. Other jobs don't wait for them.
`wsup limits list` shows what is limited, and how many jobs wait; `wsup limits set` changes it while
they do.
"""

import time

from wsup import App

app = App()
app.limit(queue="printer", max_running=1)


@app.task(max_running=2)
def announce(parcel: int) -> float:
    """The carrier is slow. Returns when it was asked."""
    began = time.time()
    time.sleep(0.05)
    return began


@app.task(rate="10/second", burst=5)
def track(parcel: int) -> float:
    return time.time()


@app.task(queue="printer")
def label(parcel: int) -> float:
    began = time.time()
    time.sleep(0.01)
    return began


def span(times: list[float]) -> float:
    return max(times) - min(times)


def main() -> None:
    announced = announce.enqueue_many([announce.args(number) for number in range(12)])
    tracked = track.enqueue_many([track.args(number) for number in range(15)])
    printed = label.enqueue_many([label.args(number) for number in range(5)])
    took = span([job.result(timeout=30) for job in announced])
    print(f"12 parcels, two at a time, 0.05 s each: the last one after {took:.2f} s")
    took = span([job.result(timeout=30) for job in tracked])
    print(f"15 calls, five of them at once: the last one after {took:.2f} s")
    took = span([job.result(timeout=30) for job in printed])
    print(f"5 labels, one after the other: the last one after {took:.2f} s")


if __name__ == "__main__":
    main()
