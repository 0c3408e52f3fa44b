"""A turn that lets in the next of a key takes it along, if nothing that is ready comes first."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from joined import fill, ids
from road import fill as fill_plain
from road import places, succeeded, with_source

from wsup.sql.answers import Pull, Turn

Connection = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("each_source")

#: All that becomes ready is written down.
WATCH = """
CREATE TABLE public.was_ready (job bigint);
CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.was_ready SELECT job FROM new_ready WHERE job > 0; RETURN NULL; END';
CREATE TRIGGER watch AFTER INSERT ON wsup.ready
    REFERENCING NEW TABLE AS new_ready FOR EACH STATEMENT EXECUTE FUNCTION public.watch();
"""


@pytest.fixture
def watched(connection: Connection) -> Connection:
    connection.execute(WATCH)
    return connection


def was_ready(connection: Connection) -> list[int]:
    rows = connection.execute("SELECT job FROM public.was_ready ORDER BY job").fetchall()
    return [row[0] for row in rows]


def turns(database: str, rooms: Sequence[int]) -> list[Turn]:
    """So many, each of which settles all that the one before has brought."""

    async def work(source: Any) -> list[Turn]:
        taken = [Turn()]
        for room in rooms:
            results = [succeeded(row) for row in taken[-1].rows]
            taken.append(await source.turn(results, Pull(["default"], room)))
        return taken[1:]

    return with_source(database, work)


def test_it_need_not_become_ready(database: str, watched: Connection) -> None:
    one, two = fill(watched, 4), fill(watched, 4, "b")
    brought = [ids(turn.rows) for turn in turns(database, [10] * 5)]
    assert brought == [*([a, b] for a, b in zip(one, two, strict=True)), []]
    assert was_ready(watched) == [one[0], one[1], two[0], two[1]], "but for the first two of each"
    assert [places(watched, job) for job in one + two] == [["succeeded"]] * 8
    assert watched.execute("SELECT FROM wsup.key_holder").rowcount == 0


def test_by_priority(database: str, watched: Connection) -> None:
    low, high = fill(watched, 3), fill(watched, 3, "b")
    watched.execute("UPDATE wsup.blocked SET rank = -9 WHERE key = 'b'")
    brought = turns(database, [10, 10, 10])[-1]
    assert ids(brought.rows) == [high[2], low[2]]


def test_with_a_queue_that_is_not_pulled(database: str, watched: Connection) -> None:
    jobs = fill(watched, 3)
    watched.execute("UPDATE wsup.blocked SET queue = 'elsewhere' WHERE job = %s", [jobs[2]])
    assert [ids(turn.rows) for turn in turns(database, [10, 10, 10])] == [[jobs[0]], [jobs[1]], []]
    assert places(watched, jobs[2]) == ["ready"]


def test_what_is_ready_goes_first(database: str, watched: Connection) -> None:
    """A full pull may have left something more urgent behind."""
    one, two = fill(watched, 3), fill(watched, 3, "b")

    async def work(source: Any) -> list[list[int]]:
        first, second = (await source.turn([], Pull(["default"], 2))).rows
        urgent = fill_plain(watched, 3, priority=1)
        full = await source.turn([succeeded(first)], Pull(["default"], 2))
        next_ = await source.turn([succeeded(second)], Pull(["default"], 1))
        return [ids([first, second]), urgent, ids(full.rows) + ids(next_.rows)]

    begun, urgent, came = with_source(database, work)
    assert begun == [one[0], two[0]]
    assert came == urgent


def test_together_with_what_is_ready_no_more_than_there_is_room_for(
    database: str, watched: Connection
) -> None:
    jobs = fill(watched, 3)

    async def work(source: Any) -> list[int]:
        turn = await source.turn([], Pull(["default"], 10))
        turn = await source.turn([succeeded(turn.rows[0])], Pull(["default"], 10))
        others = fill_plain(watched, 5, priority=1)
        turn = await source.turn([succeeded(turn.rows[0])], Pull(["default"], 3))
        assert ids(turn.rows) == [jobs[2], *others[:2]]
        return ids((await source.turn([succeeded(turn.rows[0])], Pull(["default"], 2))).rows)

    assert len(with_source(database, work)) == 2


def test_not_beyond_the_room(database: str, watched: Connection) -> None:
    one, two = fill(watched, 4), fill(watched, 4, "b")
    brought = [ids(turn.rows) for turn in turns(database, [10, 10, 1, 10])]
    assert brought == [[one[0], two[0]], [one[1], two[1]], [one[2]], [one[3], two[2]]]


@pytest.mark.parametrize("what", ["paused", "cancelled"])
def test_not_what_may_not_run(database: str, watched: Connection, what: str) -> None:
    jobs = fill(watched, 4)

    async def work(source: Any) -> list[int]:
        turn = Turn()
        for _ in range(3):
            turn = await source.turn([succeeded(row) for row in turn.rows], Pull(["default"], 10))
        if what == "paused":
            watched.execute("INSERT INTO wsup.paused_queue (queue) VALUES ('default')")
        else:
            asked = "INSERT INTO wsup.cancel_request (job, kill) VALUES (%s, false)"
            watched.execute(asked, [jobs[3]])
        return ids((await source.turn([succeeded(turn.rows[0])], Pull(["default"], 10))).rows)

    assert with_source(database, work) == []
    assert places(watched, jobs[3]) == ["ready" if what == "paused" else "cancelled"]
