"""The harness believes no system: whoever drops a job, or what it keeps of it, has no figures."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rooted import import_from_root

import_from_root("bench")

from bench.peers import drain, enqueue, latency, system  # noqa: E402
from bench.peers.errors import JobsWrong, PeerFailed  # noqa: E402
from bench.peers.install import Installed  # noqa: E402
from bench.peers.meter import value, written_since  # noqa: E402
from bench.peers.stage import Bench, stage  # noqa: E402
from bench.peers.statements import statement  # noqa: E402
from bench.server import Server  # noqa: E402

SYSTEMS = Path(__file__).parents[1] / "peers"
JOBS = 200


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Server() as server:
        with server.connect() as connection:
            connection.execute(statement("prepare_server"))
        yield Bench(server, None, 1000)


def lossy(fault: str) -> Installed:
    """The system with one fault, run by this very interpreter."""
    found = system.load(SYSTEMS / "lossy")
    options = found.settings["default"] | {"fault": fault}
    faulty = msgspec.structs.replace(found, settings={"default": options})
    return Installed(faulty, "0", {}, Path(sys.executable))


def drained(bench: Bench, fault: str) -> dict[str, float]:
    with stage(bench, lossy(fault), "noop", JOBS) as one:
        return drain.measure(one, "noop")


def enqueued(bench: Bench, fault: str) -> dict[str, float]:
    with stage(bench, lossy(fault), "enqueue", JOBS) as one:
        return enqueue.measure(one, "noop")


def test_a_system_that_does_all_jobs_has_figures(bench: Bench) -> None:
    figures = drained(bench, "none")
    assert figures["rate"] > 0
    assert figures["repeated"] == 0
    # For each job an UPDATE, and one in twenty another one; each is a transaction of its own.
    assert figures["statements"] > 1000
    assert figures["commits"] > 1000
    assert figures["wal"] > 50


def test_a_system_that_writes_nothing_into_postgresql_costs_no_wal(bench: Bench) -> None:
    with bench.server.connect() as connection:
        connection.execute(statement("settle_disk"))
        commits, _ = written_since(connection, value(connection, "wal_position"))
    assert commits == 0


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("unrun", "job 150 never ran"),
        ("forgotten", "199 are done, 0 failed, 0 left"),
        ("failed", "199 are done, 1 failed, 0 left"),
        ("no result", "of 200 results 199 are there and right"),
        ("wrong result", "of 200 results 199 are there and right"),
    ],
)
def test_a_system_that_drops_something_has_none(bench: Bench, fault: str, complaint: str) -> None:
    with pytest.raises(JobsWrong, match=complaint):
        drained(bench, fault)


def test_jobs_that_all_begin_before_the_first_look_give_no_figures(bench: Bench) -> None:
    with pytest.raises(PeerFailed, match="all 200 jobs began at once: too few to be measured"):
        drained(bench, "at once")


def test_a_job_that_never_ends_is_not_waited_for_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "PATIENCE", 5.0)
    with pytest.raises(PeerFailed, match="all jobs have begun, and some are not over"):
        drained(bench, "stuck")


def test_the_floor_is_measured_and_checked_as_a_system_is(bench: Bench) -> None:
    floor = Installed(system.load(system.SYSTEMS / "floor"), "0", {}, Path(sys.executable))
    with stage(bench, floor, "noop", 20_000) as one:
        figures = drain.measure(one, "noop")
    assert figures["rate"] > 0
    # Turns of 500: settle, pull.
    assert figures["statements"] < 10
    assert figures["main_us"] > 0
    # It has no children; the two are read one after the other, in steps of 10 ms.
    assert figures["main_us"] == pytest.approx(figures["worker_us"], abs=2 * 10_000 / 18_000)


def test_enqueueing_is_checked(bench: Bench) -> None:
    assert set(enqueued(bench, "none")) == {"single", "transaction", "bulk"}
    with pytest.raises(JobsWrong, match="of 200 enqueued jobs 199 are there"):
        enqueued(bench, "unsaved")
    with pytest.raises(JobsWrong, match="4 transactions have left 0 rows of the caller's"):
        enqueued(bench, "uncommitted")


def test_times_are_from_the_enqueue_to_the_start(bench: Bench) -> None:
    with stage(bench, lossy("none"), "latency", 40) as one:
        figures = latency.idle(one, "noop")
    assert figures["p50"] <= figures["p95"] <= figures["p99"]
    assert 0 < figures["call_p50"] < 1000
