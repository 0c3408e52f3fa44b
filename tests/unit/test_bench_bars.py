"""A row for each bar: what was measured, whether it is met, and why not."""

from pathlib import Path

import pytest
from rooted import import_from_root

import_from_root("bench")

from bench.errors import BenchError  # noqa: E402
from bench.peers import bars  # noqa: E402
from bench.peers.bar_list import BARS  # noqa: E402
from bench.peers.results import About, Measured, Results, Run  # noqa: E402


def measured(
    system: str, rate: float, *, isolates: bool = False, language: str = "python",
    yardstick: bool = False, workload: str = "noop",
) -> Measured:  # fmt: skip
    return Measured(
        workload=workload, round=1, system=system, version="1", keeps_results=True,
        isolates=isolates, jobs=1000, settings={}, source="here", why="so",
        figures={"rate": rate}, others=0.0, language=language, yardstick=yardstick,
    )  # fmt: skip


def run(*lines: Measured) -> Results:
    return Results([Run(About("command", "date", [], {}, {}, cores=2), list(lines))])


RUN = run(
    measured("wsup", 50_000, isolates=True),
    measured("floor", 100_000, yardstick=True),
    measured("bare", 200_000, yardstick=True),
    measured("pgqueuer", 25_000),
    measured("procrastinate", 800),
    measured("dramatiq", 5_000, isolates=True),
    measured("graphile-worker", 35_000, language="node"),
    measured("wsup", 1_800, workload="cpu"),
)


def row(name: str, *runs: Results, why: Path = bars.WHY) -> tuple[str, ...]:
    table = bars.table(runs, why)
    return next(row for row in table.rows if row[0] == name)[2:]


@pytest.fixture
def why(tmp_path: Path) -> Path:
    (tmp_path / "why.toml").write_text('noop-floor = "the rings"\nasync = "too few jobs"\n')
    return tmp_path / "why.toml"


def test_each_bar_is_measured_by_those_that_it_names(why: Path) -> None:
    # The yardsticks are nobody's peers, and one in another language is none in Python.
    beside = "2.00 (50,000 / 25,000, pgqueuer)"
    assert row("noop-python", RUN) == (">= 1.50", beside, "yes", "")
    assert row("noop-isolated", RUN)[1:3] == ("10.00 (50,000 / 5,000, dramatiq)", "yes")
    assert row("noop-graphile", RUN)[1:3] == ("1.43 (50,000 / 35,000, graphile-worker)", "yes")
    assert row("cpu-share", RUN, why=why) == (">= 0.93", "0.90 (2 cores)", "NO", bars.UNSAID)


def test_a_missed_bar_has_the_reason_that_somebody_wrote_down(why: Path) -> None:
    missed = (">= 0.60", "0.50 (50,000 / 100,000, floor)", "NO", "the rings")
    assert row("noop-floor", RUN, why=why) == missed


def test_bars_without_a_reason_are_listed_and_reasons_without_need(tmp_path: Path) -> None:
    (tmp_path / "why.toml").write_text('noop-floor = "the rings"\nnoop-python = "old"\n')
    table = bars.table([RUN], tmp_path / "why.toml")
    assert bars.notes(table, tmp_path / "why.toml") == [
        "Not met, and why.toml doesn't say why: cpu-share.",
        "Met, so that why.toml needs no reason any more: noop-python.",
    ]


def test_what_a_run_lacks_is_not_measured(why: Path) -> None:
    nothing = (">= 1.50", "", "not measured", "no noop of a peer in Python in this run")
    assert row("noop-python", run(measured("wsup", 1)), why=why) == nothing
    assert row("async", RUN, why=why)[1:] == ("", "not measured", "too few jobs")


def test_another_run_stands_in_and_no_two_are_mixed() -> None:
    ours = run(measured("wsup", 60_000))
    assert row("noop-floor", ours, RUN)[1] == "0.50 (50,000 / 100,000, floor)"


def test_every_bar_has_a_row_and_a_name_of_its_own() -> None:
    names = [row[0] for row in bars.table([RUN]).rows]
    assert names == [bar.name for bar in BARS]
    assert len(set(names)) == len(names) > 35


def test_a_reason_for_no_bar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "why.toml").write_text('noop-flor = "?"')
    with pytest.raises(BenchError, match="no bar noop-flor"):
        bars.table([RUN], tmp_path / "why.toml")
