"""How fast a supervisor comes back, against how fast others may take it for dead."""

from wsup.supervisor.link import RECONNECT_LAST
from wsup.supervisor.liveness import FREE_SECONDS, WITNESS_SECONDS


def test_who_waits_for_the_next_try_is_not_buried_meanwhile() -> None:
    """After an outage, whoever is back first must see the others come before it judges them; a
    second is for making the connection."""
    assert RECONNECT_LAST + FREE_SECONDS + 1 <= WITNESS_SECONDS
