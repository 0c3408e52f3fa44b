"""Descriptions of systems are checked, runs alternate, and results become tables and plots."""

from pathlib import Path

import msgspec
import pytest
from rooted import import_from_root

import_from_root("bench")

from bench.errors import BenchError  # noqa: E402
from bench.peers import plan, plots, readme, redis, report, results, sleeps, system  # noqa: E402
from bench.peers.install import Installed  # noqa: E402
from bench.peers.results import About, Measured  # noqa: E402
from bench.peers.workloads import WORKLOADS  # noqa: E402

GOOD = """
name = "it"
packages = ["it"]
keeps_results = false
isolates = false
rounds = 1
jobs = { noop = 500 }
[settings.default]
source = "https://example.org"
batch = 10
[settings.cpu]
source = "https://example.org/cpu"
processes = 8
"""


def described(folder: Path, text: str, name: str = "it") -> system.System:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "system.toml").write_text(text)
    (folder / name / "peer.py").touch()
    return system.load(folder / name)


def measured(name: str, number: int, rate: float | None, error: str | None = None) -> Measured:
    return Measured(
        workload="noop", round=number, system=name, version="1", keeps_results=True,
        isolates=False, jobs=1000, settings={"batch": 5}, source="https://example.org", why="so",
        figures={} if rate is None else {"rate": rate, "wal": 800.0}, others=1.0, error=error,
    )  # fmt: skip


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """The results of a run of three systems, one of which has lost a job."""
    file = tmp_path / "results.jsonl"
    results.append(file, About("command", "date", [("CPU", "2")], {}, {"absent": "no wheel"}))
    for number, rates in enumerate([(100.0, 20.0), (300.0, 60.0), (200.0, 40.0)], 1):
        for name, rate in zip(("wsup", "other"), rates, strict=True):
            results.append(file, measured(name, number, rate))
    results.append(file, measured("bad", 1, None, "1 of 1,000 jobs never ran"))
    return file


def test_settings_of_a_workload_change_the_default_ones(tmp_path: Path) -> None:
    it = described(tmp_path, GOOD)
    assert it.settings_for("noop").options == {"batch": 10, "processes": 1}
    assert it.settings_for("cpu").options == {"batch": 10, "processes": 8}
    assert it.settings_for("cpu").source == "https://example.org/cpu"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[settings.cpu]\nsource", "[settings.cpu]\nsaid", "settings.cpu has no source"),
        ('name = "it"', 'name = "that"', "the name 'it'"),
        ("settings.default", "settings.noop", r"needs settings\.default"),
        ("isolates = false", 'isolates = "?"', "Expected `bool`"),
        ("rounds = 1", "wheels = 1", "unknown field `wheels`"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(BenchError, match=complaint):
        described(tmp_path, GOOD.replace(old, new))


def test_every_system_of_ours_is_described_well() -> None:
    assert next(iter(system.load_all(None))).name == "wsup"
    with pytest.raises(BenchError, match="no system nothing: there are awa, bare"):
        system.load_all(["nothing"])


def test_an_older_version_is_run_by_the_adapter_of_the_present_one() -> None:
    everybody = {one.name: one for one in system.load_all(None)}
    before, now = everybody["wsup-before"], everybody["wsup"]
    assert before.program == now.program
    assert before not in plan.chosen(None, None, 1).systems([before, now])
    assert plan.chosen("unused", None, 1).systems([now, before]) == [now, before]


def test_runs_alternate_and_the_less_important_stop_earlier(tmp_path: Path) -> None:
    once = Installed(described(tmp_path, GOOD), "1", {}, Path())
    thrice = Installed(
        described(tmp_path, GOOD.replace('"it"', '"b"').replace("rounds = 1", ""), "b"),
        "1", {}, Path(),
    )  # fmt: skip
    runs = plan.chosen("noop,cpu", None, 1).runs([once, thrice])
    said = [f"{workload} {number} {one.system.name}" for workload, number, one in runs]
    assert said[:5] == ["noop 1 it", "noop 1 b", "noop 2 b", "noop 3 b", "cpu 1 it"]
    assert len(list(plan.chosen("noop", 2, 1).runs([once, thrice]))) == 4
    assert plan.chosen("noop", None, 0.5).jobs(once.system, "noop") == 250
    with pytest.raises(BenchError, match="no workload nap: there are noop, large"):
        plan.chosen("noop,nap", None, 1)


def test_every_workload_is_found_by_name_the_long_ones_too(tmp_path: Path) -> None:
    chosen = plan.chosen("obstacles,keys,deps,retention,keys", None, 1)
    assert chosen.workloads == [
        "deep", "tomorrow", "busy", "busy-keys", "unused", "keys", "chains", "fans", "retention",
    ]  # fmt: skip
    assert chosen.obstacles("retention") == 10_000_000
    assert chosen.obstacles("keys") == 0
    assert plan.chosen("retention", None, 1, beside=5000).obstacles("retention") == 5000
    usual, long = plan.chosen(None, None, 1), plan.chosen(None, None, 1, long=True)
    assert not set(usual.workloads) & set(chosen.workloads)
    assert set(usual.workloads) | set(long.workloads) == set(WORKLOADS)
    # Few systems take part in the long ones, unless they are named; wsup alone in the features.
    everybody = system.load_all(None)
    names = [one.name for one in chosen.systems(everybody)]
    assert names == ["wsup", "pgqueuer", "procrastinate", "wsup-before"]
    named = plan.chosen("deep,keys", None, 1, named=True)
    assert "awa" in {one.name for one in named.systems(everybody)}
    ours = [Installed(one, "1", {}, Path()) for one in everybody]
    said = [f"{name} {n} {one.system.name}" for name, n, one in chosen.runs(ours)]
    assert [each for each in said if "keys" in each.split()] == [
        f"keys {n} wsup" for n in (1, 2, 3)
    ]
    assert said.count("deep 1 wsup") == said.count("retention 1 wsup") == 1
    assert "deep 2 wsup" not in said


def test_the_page_has_medians_ranges_ratios_and_reasons(raw: Path) -> None:
    page = report.page(results.read(raw))
    assert "| wsup | 1,000 | 200 | 100 to 300 | 1.00 |" in page
    assert "| other | 1,000 | 40 | 20 to 60 | 0.20 |" in page
    assert "bad: 1 of 1,000 jobs never ran" in page
    assert "| absent | not installed |  | no wheel |" in page
    assert "| wsup | noop | batch = 5 | so | https://example.org |" in page
    assert "200" in report.text(results.read(raw))


def test_the_table_of_the_readme_has_the_medians_and_is_put_in_its_place(
    raw: Path, tmp_path: Path
) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"before\n{readme.BEGIN}old\n{readme.END}\nafter\n")
    for _ in range(2):
        readme.update(file, results.read(raw))
    lines = file.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "| wsup | 200 |  |  |  |  |  | yes |  |" in lines
    assert "old" not in lines


def test_plots_are_the_same_for_the_same_results(raw: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plots.draw(results.read(raw), "noop", tmp_path)
    first = (tmp_path / "benchmarks-noop.svg").read_bytes()
    plots.draw(results.read(raw), "noop", tmp_path)
    assert b"<svg" in first
    assert (tmp_path / "benchmarks-noop.svg").read_bytes() == first


def test_a_course_is_drawn_as_a_line(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    one = measured("wsup", 1, 5.0)
    course = msgspec.structs.replace(one, workload="long", series={"rates": [5.0, 6.0, 4.0]})
    run = results.Results([results.Run(About("command", "date", [], {}, {}), [course])])
    assert plots.draw(run, "long", tmp_path) == "benchmarks-long.svg"
    assert "windows" in (tmp_path / "benchmarks-long.svg").read_text()
    assert "benchmarks-long.jsonl" in report.page(run, tmp_path)


def long_run(date: str, **figures: float) -> results.Results:
    """One workload a figure, each of one system."""
    lines = [
        msgspec.structs.replace(measured("wsup", 1, rate), workload=name.replace("_", "-"))
        for name, rate in figures.items()
    ]
    return results.Results([results.Run(About(f"measure {date}", date, [], {}, {}), lines)])


def test_what_takes_hours_is_measured_piece_by_piece(tmp_path: Path) -> None:
    first = long_run("monday", deep=1.0, keys=2.0, tomorrow=3.0)
    second = results.joined(first, long_run("tuesday", keys=4.0, chains=5.0))
    file = tmp_path / "benchmarks-long.jsonl"
    results.write(file, second)
    found = results.read(file)
    assert found == second
    assert {one.workload: one.figures["rate"] for one in found.measured} == {
        "deep": 1.0, "tomorrow": 3.0, "keys": 4.0, "chains": 5.0,
    }  # fmt: skip
    assert found.about.date == "tuesday"
    page = report.page(found, tmp_path)
    assert "Written by `measure monday`, `measure tuesday`" in page
    assert "| workloads | deep, tomorrow |" in page
    assert "| workloads | keys, chains |" in page
    third = results.joined(found, long_run("wednesday", deep=6.0, tomorrow=7.0))
    assert [one.about.date for one in third.runs] == ["tuesday", "wednesday"]


def test_a_piece_is_written_into_the_page_of_the_long_ones(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for run in (long_run("monday", deep=1.0), long_run("tuesday", keys=2.0)):
        results.write(tmp_path / "latest", run)
        report.write(tmp_path / "latest", tmp_path)
    page = (tmp_path / "benchmarks-long.md").read_text()
    assert "## 1,000,000 more jobs ready" in page
    assert "## Jobs of 1,000 serial keys" in page


def test_places_are_filled_as_long_as_somebody_sleeps_there() -> None:
    # Two places, no pause; then one of them is empty for half a second of 8.5.
    started = [n / 2 for n in range(20)]
    assert sleeps.filled(started, [1.0] * 20, 2) == pytest.approx(1)
    shorter = [0.5 if n == 10 else 1.0 for n in range(20)]
    assert sleeps.filled(started, shorter, 2) == pytest.approx(1 - 0.5 / 2 / 8.5)


@pytest.mark.skipif(not redis.is_there(), reason=redis.REMEDY)
def test_redis_is_empty_for_each_run(tmp_path: Path) -> None:
    with redis.Redis(tmp_path) as server:
        server.ask("SET it 1")
        assert server.ask("EXISTS it").startswith(":1")
        server.empty()
        assert server.ask("EXISTS it").startswith(":0")
        assert server.version() != "?"


def test_a_yardstick_takes_part_in_its_own_workloads_only(tmp_path: Path) -> None:
    everywhere = Installed(described(tmp_path, GOOD), "1", {}, Path())
    text = GOOD.replace('"it"', '"b"').replace("rounds = 1", 'only = ["cpu"]')
    there = Installed(described(tmp_path, text, "b"), "1", {}, Path())
    runs = plan.chosen("noop,cpu", 1, 1).runs([everywhere, there])
    assert [f"{workload} {one.system.name}" for workload, _, one in runs] == [
        "noop it", "cpu it", "cpu b",
    ]  # fmt: skip
