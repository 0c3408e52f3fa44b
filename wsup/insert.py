"""The steps by which jobs get into the database."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from wsup.options import Order
from wsup.parents import Parent, numbers
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
            order.key,
            order.key_limit,
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
                order.key,
                order.key_limit,
                texts,
            ),
        )
        return [row[0] for row in rows]
    gated = order.after or order.key is not None
    gates = gates_of(order, order.after, order.after_lax) if gated else []
    rows = yield Ask("reserve_ids", (order.run_at, order.delay, len(lines)))
    ids, run_at = rows[0]
    name = "copy_jobs_gated" if gates else "copy_jobs"
    yield Load(name, _chunks(ids, lines, rest(order, run_at or "", gates)))
    return list(ids)


def array(ids: Sequence[int] | None) -> str:
    """An array as COPY reads it; nothing for None."""
    return f"{{{','.join(map(str, ids))}}}" if ids else ""


def gates_of(order: Order, after: Iterable[Parent], lax: Iterable[Parent]) -> list[str]:
    """What `copy_jobs_gated.sql` has beside `copy_jobs.sql`."""
    return [array(numbers(after)), array(numbers(lax)), order.key or "", str(order.key_limit or "")]


def rest(order: Order, run_at: str, gates: Sequence[str]) -> str:
    """What follows the arguments in a row of `copy_jobs.sql` or `copy_jobs_gated.sql`."""
    return "\t".join(
        ("", run_at, str(order.priority), order.queue, order.task, order.options or "", *gates)
    )


def _chunks(ids: Sequence[int], lines: Sequence[bytes], rest: str) -> Iterator[bytes]:
    """The rows in COPY's text format."""
    row = b"%d\t%b" + rest.encode().replace(b"%", b"%%") + b"\n"
    for start in range(0, len(lines), CHUNK):
        end = start + CHUNK
        pairs = zip(ids[start:end], lines[start:end], strict=True)
        # No value holds a tab or a line break, so a backslash is all that needs escaping.
        yield b"".join([row % pair for pair in pairs]).replace(b"\\", rb"\\")
