"""Jobs that wait for others: chapters are counted side by side, then added up.

    wsup start --app book:app            # in this folder; it brings a PostgreSQL if none is named
    python book.py                       # in another terminal, same folder

All jobs of a book are enqueued in one call, with what each of them waits for. They start as soon as
they can, on whatever host; nothing polls.
"""

from pathlib import Path

from wsup import App, JobCancelled, Node, current_job

FOLDER = Path("book")
CHAPTERS = ["It was a dark night.", "Nobody slept.", "In the end the sun rose."]
PATIENCE = 30.0  # seconds

app = App()


@app.task
def count(chapter: int) -> int:
    """The words of a chapter, which may not be written yet."""
    return len((FOLDER / f"{chapter}.txt").read_text().split())


@app.task
def add_up() -> int:
    """Waits for all chapters, and finds what they returned."""
    return sum(parent.result for parent in current_job().parents)


@app.task
def tell(whom: str) -> str:
    """Waits for the sum, whatever becomes of it."""
    (total,) = current_job().parents
    words = f"has {total.result} words" if total.state == "succeeded" else "is not finished"
    return f"to {whom}: your book {words}"


def enqueue_book(chapters: int) -> tuple[Node[int], Node[str]]:
    graph = app.graph()
    counts = [graph.add(count, chapter) for chapter in range(chapters)]
    total = graph.add(add_up.options(after=counts))
    letter = graph.add(tell.options(after_lax=total), "the publisher")
    graph.enqueue()
    return total, letter


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for number, text in enumerate(CHAPTERS):
        (FOLDER / f"{number}.txt").write_text(text)

    total, letter = enqueue_book(len(CHAPTERS))
    print(letter.job.result(PATIENCE))
    print(f"{total.job.result(PATIENCE)} words in {len(CHAPTERS)} chapters")

    total, letter = enqueue_book(len(CHAPTERS) + 1)  # the last one is not written yet
    print(letter.job.result(PATIENCE))
    try:
        total.job.result(PATIENCE)
    except JobCancelled as error:
        print(f"no sum: {error.reason}")


if __name__ == "__main__":
    main()
