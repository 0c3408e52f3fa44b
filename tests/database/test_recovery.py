"""After a lost reply: what the claims say is compared with what is known here."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from road import fill, places, pull, settle, succeeded, with_source

from wsup.sql.answers import Row
from wsup.sql.settlement import Back, Entry
from wsup.subworkers.memory import SharedMemory
from wsup.supervisor.gather import Gather
from wsup.supervisor.member import Member
from wsup.supervisor.recovery import Recovery
from wsup.supervisor.source import Source

Connection = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("each_source")


@pytest.fixture
def gather() -> Gather:
    return Gather(
        on_finished=lambda: None,
        on_ready=lambda _: None,
        on_unfit=lambda *_: None,
        on_returned=lambda _: None,
        on_untrusted=lambda *_: None,
    )


def compare(
    database: str,
    gather: Gather,
    *,
    backlog: Sequence[Row] = (),
    held: Sequence[Row] = (),
    after_loss: bool = True,
) -> list[Entry]:
    """What is to be committed after a comparison: `held` is with a subworker."""
    member = Member(0, 1, SharedMemory.create(places=1, ring_bytes=65536))
    member.held = {row[1]: row for row in held}

    async def work(source: Source) -> None:
        found = await source.own_claims(0)
        Recovery(gather).compare(found, backlog, [member], after_loss=after_loss)

    with_source(database, work)
    member.memory.close()
    return gather.finished


@pytest.mark.parametrize("after_loss", [True, False])
def test_what_was_pulled_unheard_is_given_back_at_its_attempt(
    database: str, connection: Connection, gather: Gather, after_loss: bool
) -> None:
    fill(connection, 6)
    here, waiting, ghost = pull(connection, 2), pull(connection, 2), pull(connection, 2)
    entries = compare(database, gather, held=here, backlog=waiting, after_loss=after_loss)
    assert entries == [Back(row[0], row[1], row[2], None) for row in ghost]
    assert settle(database, *entries) == 0
    assert {places(connection, row[1])[0] for row in ghost} == {"ready"}
    assert {places(connection, row[1])[0] for row in here + waiting} == {"claimed"}


def test_what_was_committed_unheard_is_not_sent_again(
    database: str, connection: Connection, gather: Gather
) -> None:
    fill(connection, 4)
    rows = pull(connection, 4)
    results = [succeeded(row) for row in rows]
    assert settle(database, *results[:2]) == 0
    gather.finished = list(results)
    assert compare(database, gather) == results[2:]


def test_a_part_of_a_claim_may_be_a_ghost(
    database: str, connection: Connection, gather: Gather
) -> None:
    fill(connection, 3)
    rows = pull(connection, 3)
    gather.finished = [succeeded(rows[0])]
    entries = compare(database, gather, backlog=[rows[1]])
    assert [entry.job for entry in entries] == [rows[0][1], rows[2][1]]
    assert settle(database, *entries) == 0
    states = [places(connection, row[1]) for row in rows]
    assert states == [["succeeded"], ["claimed"], ["ready"]]
