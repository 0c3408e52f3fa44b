"""The steps by which jobs get into the database."""

from collections.abc import Iterator, Sequence
from typing import Final

from wsup.options import Order
from wsup.parents import numbers
from wsup.sql.steps import Ask, Load, Steps

#: Up to so many jobs go by one INSERT, in one round trip; COPY takes three. In jobs.
FEW: Final = 100
#: Jobs written at a time: enough to make a call cheap.
CHUNK: Final = 2000


def insert_one(order: Order, data: bytes) -> Steps[int]:
    """Enqueue one job with `data` as its arguments. Returns its id."""
    rows = yield Ask(
        "enqueue",
        (
            order.run_at,
            order.delay,
            order.priority,
            order.queue,
            order.task,
            data.decode(),
            order.options,
            numbers(order.after),
            numbers(order.after_lax),
        ),
    )
    return int(rows[0][0])


def insert_many(order: Order, lines: Sequence[bytes], *, copy: bool) -> Steps[list[int]]:
    """Enqueue a job for each of `lines`, in one statement. Returns their ids, in that order."""
    if not lines:
        return []
    if len(lines) <= FEW or not copy:
        texts = [line.decode() for line in lines]
        rows = yield Ask(
            "enqueue_few",
            (
                order.run_at,
                order.delay,
                order.priority,
                order.queue,
                order.task,
                order.options,
                numbers(order.after),
                numbers(order.after_lax),
                texts,
            ),
        )
        return [row[0] for row in rows]
    parents = [array(numbers(order.after)), array(numbers(order.after_lax))] if order.after else []
    rows = yield Ask("reserve_ids", (order.run_at, order.delay, len(lines)))
    ids, run_at = rows[0]
    name = "copy_children" if parents else "copy_jobs"
    yield Load(name, _chunks(ids, lines, rest(order, run_at or "", parents)))
    return list(ids)


def array(ids: Sequence[int] | None) -> str:
    """An array as COPY reads it; nothing for None."""
    return f"{{{','.join(map(str, ids))}}}" if ids else ""


def rest(order: Order, run_at: str, parents: Sequence[str]) -> str:
    """What follows the arguments in a row of `copy_jobs.sql` or `copy_children.sql`."""
    return "\t".join(
        ("", run_at, str(order.priority), order.queue, order.task, order.options or "", *parents)
    )


def _chunks(ids: Sequence[int], lines: Sequence[bytes], rest: str) -> Iterator[bytes]:
    """The rows in COPY's text format."""
    row = b"%d\t%b" + rest.encode().replace(b"%", b"%%") + b"\n"
    for start in range(0, len(lines), CHUNK):
        end = start + CHUNK
        pairs = zip(ids[start:end], lines[start:end], strict=True)
        # No value holds a tab or a line break, so a backslash is all that needs escaping.
        yield b"".join([row % pair for pair in pairs]).replace(b"\\", rb"\\")
