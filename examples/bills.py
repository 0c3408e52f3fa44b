"""What jobs print and log, kept with them.

    wsup start --app bills:app        # in this folder; it brings a PostgreSQL if none is named
    python bills.py                   # in another terminal, same folder

`wsup jobs logs ID --follow` shows the same.
"""

import logging

from wsup import App, JobFailed

app = App(capture_logs=True)
log = logging.getLogger("shop.bills")


@app.task
def bill(order: int, amount: float) -> None:
    print("billing order", order)
    log.info("%.2f", amount)
    if amount < 0:
        log.error("who owes whom?")
        raise ValueError("a negative amount")


def main() -> None:
    good, bad = bill.enqueue(1, 9.5), bill.enqueue(2, -1)
    good.result(timeout=30)
    try:
        bad.result(timeout=30)
    except JobFailed as error:
        print(f"{error.message}; before that:")
    for line in bad.logs():
        print(f"{line.source} {line.level or '-'}: {line.text}")


if __name__ == "__main__":
    main()
