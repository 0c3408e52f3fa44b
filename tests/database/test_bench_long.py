"""The long workloads, made short: steady states, pinned horizons and obstacles are checked, too."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rooted import import_from_root

import_from_root("bench")

from bench.peers import agents, obstacles, steady, system  # noqa: E402
from bench.peers.errors import JobsWrong, PeerFailed  # noqa: E402
from bench.peers.install import Installed  # noqa: E402
from bench.peers.stage import Bench, Stage, stage  # noqa: E402
from bench.peers.statements import statement  # noqa: E402
from bench.server import Server  # noqa: E402

LOSSY = Path(__file__).parents[1] / "peers" / "lossy"
HOLDERS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend'
      AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"""
#: Of which the first tenth is drained for the rate, and the others go round.
RING = 2000


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Server() as server:
        with server.connect() as connection:
            connection.execute(statement("prepare_server"))
        yield Bench(server, None, 1000, scale=0.005)


def lossy(fault: str) -> Installed:
    found = system.load(LOSSY)
    options = found.settings["default"] | {"fault": fault}
    faulty = msgspec.structs.replace(found, settings={"default": options}, pull="SKIP LOCKED")
    return Installed(faulty, "0", {}, Path(sys.executable))


def test_a_steady_state_has_windows(bench: Bench) -> None:
    with stage(bench, lossy("none"), "long", RING) as one:
        found = steady.plain(one, "noop")
    rates = found["rates"]
    assert isinstance(rates, list)
    assert len(rates) == 3
    assert found["kept"] == rates[-1] / rates[0]
    assert isinstance(found["last_pull"], float)
    assert found["last_pull"] > 0


@pytest.mark.parametrize("pin", ["reader", "writer"])
def test_the_horizon_is_pinned(bench: Bench, pin: str) -> None:
    with stage(bench, lossy("none"), "long", RING) as one:
        with steady.Steady(one, "noop")._pinned(pin):
            assert _holders(one) == 1
        assert _holders(one) == 0


def _holders(one: Stage) -> int:
    """Transactions of this database that keep dead rows from being taken away."""
    row = one.connection.execute(HOLDERS).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("fault", "complaint"), [("forgotten", "it says"), ("wrong result", "results .* are right")]
)
def test_a_ring_is_checked(bench: Bench, fault: str, complaint: str) -> None:
    with stage(bench, lossy(fault), "long", RING) as one, pytest.raises(JobsWrong, match=complaint):
        steady.plain(one, "noop")


def test_a_held_job_that_never_runs_is_missed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "PATIENCE", 2.0)
    with (
        stage(bench, lossy("unheld"), "long-writer", RING) as one,
        pytest.raises(PeerFailed, match="jobs have begun within 2 s"),
    ):
        steady.writer(one, "noop")


def test_jobs_behind_and_jobs_of_tomorrow_are_left(bench: Bench) -> None:
    for measure in (obstacles.deep, obstacles.tomorrow):
        with stage(bench, lossy("none"), "deep", 200, 300) as one:
            found = measure(one, "noop")
        assert found["kept"] == found["rate"] / found["without"]


@pytest.mark.parametrize("measure", [obstacles.busy, obstacles.busy_keys])
def test_jobs_behind_a_busy_key_are_left(bench: Bench, measure: Callable[..., Any]) -> None:
    with stage(bench, lossy("none"), "busy", 200, 300) as one:
        found = measure(one, "noop")
    assert found["kept"] == found["rate"] / found["without"]


def test_jobs_that_run_beside_one_of_their_key_are_found(bench: Bench) -> None:
    with (
        stage(bench, lossy("keyless"), "busy", 200, 300) as one,
        pytest.raises(JobsWrong, match="jobs ran while their serial key was busy"),
    ):
        obstacles.busy(one, "noop")


def test_keyed_jobs_may_go_round_in_a_ring(bench: Bench) -> None:
    with stage(bench, lossy("none"), "long-keyed", RING) as one:
        assert len(steady.keyed(one, "noop")["rates"]) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(("fault", "complaint"), [("early", "ran today"), ("failed", "it says")])
def test_an_obstacle_is_checked(bench: Bench, fault: str, complaint: str) -> None:
    with (
        stage(bench, lossy(fault), "tomorrow", 200, 300) as one,
        pytest.raises(JobsWrong, match=complaint),
    ):
        obstacles.tomorrow(one, "noop")


def test_a_number_of_processes_drains_each_kind_of_jobs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "AGENTS", (1,))
    with stage(bench, lossy("none"), "http", agents.all_jobs(bench.scale, single=True)) as one:
        found = agents.measure(one, "noop")
    for name in agents.KINDS:
        for each in ("rate", "connections", "transactions", "database", "agents"):
            assert found[f"{name}_{each}"][0] > 0, (name, each)  # type: ignore[index]
    assert found["noop_connections"] == [8.0]
