"""How many jobs of a task may run on this host."""

from wsup.sql.answers import Row
from wsup.supervisor.limits import PerHost


def row(job: int, task: str) -> Row:
    return (1, job, 1, task, "default", "{}", None)


def test_room_that_opens_is_told_once() -> None:
    here = [row(1, "a"), row(2, "a"), row(3, "b")]
    limits = PerHost(lambda: here)
    assert limits.heed({"a": 2, "b": 2})
    assert limits.rooms(10) == [("b", 1)]
    assert not limits.has_opened()
    here.pop(0)
    assert limits.has_opened()
    assert not limits.has_opened()
    assert limits.rooms(10) == [("a", 1), ("b", 1)]
