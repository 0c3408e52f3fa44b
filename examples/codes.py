"""Jobs that are of no use later: a login code, and a report that is wanted by a certain time.

wsup start --app codes:app           # in this folder; it brings a PostgreSQL if none is named
python codes.py                      # in another terminal, same folder
"""

from datetime import UTC, datetime, timedelta

from wsup import App, JobExpired, JobFailed

PATIENCE = 30.0  # seconds

app = App()


@app.task(expires=30)
def send_code(code: str) -> str:
    """Nobody waits longer for it."""
    return f"code {code} was sent"


@app.task(retries=100, backoff=0.2)
def print_report() -> None:
    raise OSError("the printer is off")


def main() -> None:
    print(send_code.enqueue("1234").result(PATIENCE))

    # The clock began when the user pressed the button, not when this program got round to it.
    pressed = datetime.now(UTC) - timedelta(minutes=1)
    late = send_code.options(expires=pressed + timedelta(seconds=30)).enqueue("9876")
    try:
        late.result(PATIENCE)
    except JobExpired as error:
        print(f"code 9876 came too late: {error.reason}")

    try:
        print_report.options(deadline=1.0).enqueue().result(PATIENCE)
    except JobFailed as error:
        print(f"the report has failed: {error.message}")


if __name__ == "__main__":
    main()
