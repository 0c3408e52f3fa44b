"""Hosts over one server against as many that ask the database: points, tables, bars, pages."""

from pathlib import Path

import msgspec
import pytest
from rooted import import_from_root

import_from_root("bench")

from bench.peers import agents, bars, courses, plan, plots, report, results, system  # noqa: E402
from bench.peers.agents import AGENTS, KINDS, Point, Seen  # noqa: E402
from bench.peers.http_bars import HTTP_BARS  # noqa: E402
from bench.peers.meter import Cost  # noqa: E402
from bench.peers.results import About, Measured, Results, Run  # noqa: E402


def point(rate: float, connections: float, transactions: float, database: float) -> Point:
    return Point(rate, connections, 3.0, transactions, database, 7.0, 20.0)


#: Over HTTP: with more agents fewer transactions, and as much CPU by the job.
SERVED = {
    "noop": [point(40_000, 3, 5, 10), point(41_000, 3, 4, 10), *[point(42_000, 3, 3, 11)] * 2],
    "pause": [point(1_500, 3, 90, 30)] * 4,
    "sleep": [point(rate, 3, 1100 - rate, 500) for rate in (16, 48, 160, 320)],
}
DIRECT = {
    "noop": [point(50_000, 2, 5, 10), *[point(45_000, 40, 6, 20)] * 3],
    "pause": [point(1_600, 2, 90, 40), *[point(1_500, 40, 90, 40)] * 3],
    "sleep": [point(rate, rate / 8, 1000, 500) for rate in (16, 48, 160, 320)],
}


def line(name: str, found: dict[str, list[Point]], number: int = 1) -> Measured:
    figures = agents.figures(found)
    return Measured(
        workload="http", round=number, system=name, version="1", keeps_results=True, isolates=True,
        jobs=1, settings={}, source="here", why="", others=0.0,
        figures={key: value for key, value in figures.items() if isinstance(value, float)},
        series={key: value for key, value in figures.items() if isinstance(value, list)},
    )  # fmt: skip


def idle(name: str, p50: float) -> Measured:
    one = line(name, SERVED)
    return msgspec.structs.replace(one, workload="http-latency", series={}, figures={"p50": p50})


def run(*lines: Measured) -> Results:
    return Results([Run(About("command", "date", [], {}, {}), list(lines))])


RUN = run(
    line("wsup", DIRECT), line("wsup-http", SERVED), idle("wsup", 1.5), idle("wsup-http", 2.25)
)


def judged(found: Results) -> dict[str, tuple[str, ...]]:
    """By the bar's name: bound, measured, met."""
    return {row[0]: row[2:5] for row in bars.table([found], bars=HTTP_BARS).rows}


def test_a_point_has_rates_by_the_second_and_costs_by_1000_jobs() -> None:
    cost = Cost(workers=5.0, mains=1.0, servers=0.5, statements=80, commits=40, wal=0)
    found = agents.point_of(Seen(20_000, 4.0, cost, server=0.25, connections=3))
    assert found == Point(
        rate=5000.0, connections=3, statements=4.0, transactions=2.0, database=25.0, server=12.5,
        agents=250.0,
    )  # fmt: skip


def test_series_have_a_value_for_each_number_of_agents() -> None:
    found = agents.figures(SERVED)
    assert found["rate"] == 40_000
    assert found["agents"] == [1, 3, 10, 20]
    assert found["places"] == [8, 24, 80, 160]
    assert found["noop_database"] == [10, 10, 11, 11]
    assert found["sleep_rate"] == [16, 48, 160, 320]


def test_jobs_are_as_many_as_take_some_seconds() -> None:
    sleep = KINDS["sleep"]
    assert [sleep.jobs(n, 1, single=False) for n in AGENTS] == [128, 384, 1280, 2560]
    # Of each place some, or the last of them would be most of the time.
    assert sleep.jobs(20, 0.01, single=False) == 8 * 160
    assert KINDS["noop"].jobs(20, 0.1, single=False) == 500 * 160
    assert KINDS["noop"].jobs(1, 1, single=True) == 12_000
    chosen = plan.chosen("http", None, 0.1)
    assert chosen.workloads == ["http", "http-latency"]
    assert chosen.jobs(system.load_all(["wsup"])[0], "http") == agents.all_jobs(0.1, single=False)


def test_over_http_and_directly_alternate_and_others_come_when_they_are_named() -> None:
    everybody = system.load_all(None)
    assert [one.name for one in plan.chosen("http", None, 1).systems(everybody)] == [
        "wsup", "wsup-http",
    ]  # fmt: skip
    named = plan.chosen("http", None, 1, named=True)
    assert "single" in [one.name for one in named.systems(everybody)]
    assert "wsup-http" not in [one.name for one in plan.chosen(None, None, 1).systems(everybody)]


def test_each_bar_is_met_or_not_by_what_was_measured() -> None:
    assert judged(RUN) == {
        "http-cpu-one": ("<= 1.20", "1.10 (no-op: 1.10, 5 ms: 0.75, 300 to 700 ms: 1.00)", "yes"),
        # Sleeping jobs cost as much, which is not below.
        "http-cpu-twenty": ("< 1.00", "1.00 (no-op: 0.55, 5 ms: 0.75, 300 to 700 ms: 1.00)", "NO"),
        "http-transactions": ("<= 1.20", "1.08 (1.08, 1.05, 0.94, 0.78)", "yes"),
        "http-transactions-falling": ("< 1.00", "0.97", "yes"),
        "http-latency": ("<= 1.00", "0.75 (2.25 - 1.50)", "yes"),
        "http-noop": (">= 0.80", "0.80 (40,000 / 50,000)", "yes"),
        "http-connections": ("<= 4", "3", "yes"),
        "http-connections-constant": ("<= 1.00", "1.00 (3 / 3; directly 40)", "yes"),
    }


def test_one_that_rises_is_not_falling_and_one_more_connection_not_constant() -> None:
    sleep = [point(16, 3, each, 500) for each in (1000, 900, 950, 800)]
    noop = [*SERVED["noop"][:3], point(42_000, 5, 3, 14)]
    found = judged(run(line("wsup", DIRECT), line("wsup-http", SERVED | {
        "sleep": sleep, "noop": noop,
    })))  # fmt: skip
    assert found["http-transactions-falling"][1:] == ("1.06", "NO")
    assert found["http-connections"][1:] == ("5", "NO")
    assert found["http-connections-constant"][1:] == ("1.67 (5 / 3; directly 40)", "NO")
    assert found["http-cpu-one"][2] == "NO"
    assert found["http-latency"][1:] == ("", "not measured")


def test_the_table_has_a_row_for_each_kind_number_and_system_of_medians() -> None:
    faster = {kind: [each._replace(rate=each.rate + 10) for each in SERVED[kind]] for kind in KINDS}
    table = courses.table(run(
        line("wsup", DIRECT), line("wsup-http", SERVED), line("wsup-http", faster, 2),
    ))  # fmt: skip
    assert len(table.rows) == 3 * 4 * 2
    assert table.rows[0] == (
        "no-op",
        "1",
        "wsup",
        "50,000",
        "2",
        "3.0",
        "5.0",
        "10.0",
        "7.0",
        "20.0",
        "0 %",
    )
    assert table.rows[1][:5] == ("no-op", "1", "wsup-http", "40,005", "3")
    assert table.rows[-1][:4] == ("300 to 700 ms", "20", "wsup-http", "325")


def test_its_page_is_its_own_with_its_bars_and_other_pages_have_them_from_there(
    tmp_path: Path,
) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "raw.jsonl"
    results.append(file, RUN.about)
    for one in RUN.measured:
        results.append(file, one)
    written = report.write(file, tmp_path)
    assert written[:2] == ["benchmarks-http.md", "benchmarks-http.jsonl"]
    page = (tmp_path / "benchmarks-http.md").read_text()
    assert "| 300 to 700 ms | 20 | wsup-http | 320 | 3 |" in page
    assert "| http-cpu-twenty |" in page
    assert "noop-floor" not in page
    assert "![Over one server, and directly](benchmarks-http.svg)" in page
    assert "<svg" in (tmp_path / plots.name("http")).read_text()
    other = run(msgspec.structs.replace(idle("wsup", 1.0), workload="latency"))
    page = report.page(other, tmp_path)
    assert "| http-noop | " in page
    assert "0.80 (40,000 / 50,000)" in page
    assert "measured in [benchmarks-http.md](benchmarks-http.md), of date" in page
