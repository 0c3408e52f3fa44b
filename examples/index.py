"""A document is edited five times in a row, and indexed once.

    wsup start --app index:app           # in this folder; it brings a PostgreSQL if none is named
    python index.py                      # in another terminal, same folder

A unique key lets only one unfinished job of its task be there. With "replace" that one becomes what
was asked for last, as long as it has not started; the delay gives the edits time to settle.
"""

from wsup import App, JobExists

PATIENCE = 30.0  # seconds

app = App()


@app.task
def index(document: str, version: int) -> int:
    """As if it took long."""
    return version


@app.task
def index_all() -> None: ...


#: The key is a function of the arguments, so that `enqueue_many` has one for each job.
settled = index.options(
    unique_key=lambda document, version: document, on_conflict="replace", delay=1.0
)


def main() -> None:
    edits = [settled.enqueue("report", version) for version in range(1, 6)]
    print(f"{len(edits)} edits, {len(set(edits))} job")
    print(f"version {edits[-1].result(PATIENCE)} is in the index")

    nightly = index_all.options(unique_key="nightly", on_conflict="raise", delay=3600)
    print(f"a nightly run is asked for: new job {nightly.enqueue().id}")
    try:
        nightly.enqueue()
    except JobExists as error:
        print(f"and again: job {error.job_id} is there already")
        app.job(error.job_id).cancel()


if __name__ == "__main__":
    main()
