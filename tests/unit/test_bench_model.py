"""The law of throughput is recovered from what it has made, and says what data can't tell."""

from pathlib import Path

import msgspec
import pytest
from rooted import import_from_root

import_from_root("bench")

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")

from bench.errors import BenchError  # noqa: E402
from bench.model import __main__ as model  # noqa: E402
from bench.model import study, windmill  # noqa: E402
from bench.model.crossing import crossing, crossing_of  # noqa: E402
from bench.model.law import Fit, fit, law  # noqa: E402
from bench.peers import results  # noqa: E402
from bench.peers.results import About, Measured  # noqa: E402
from bench.peers.scale import SUPERVISORS  # noqa: E402

PLACES = [8.0 * each for each in SUPERVISORS]


def made(
    rate: float, contention: float, coherence: float, noise: float = 0.02, seed: int = 7
) -> list[float]:
    """Rates of a law, each wrong by about `noise` of itself."""
    exact = law(np.asarray(PLACES * 3), rate, contention, coherence)
    wrong = np.random.default_rng(seed).standard_normal(len(exact))
    return [float(each) for each in exact * (1 + noise * wrong)]


def fitted(rate: float, contention: float, coherence: float, noise: float = 0.02) -> Fit:
    return fit(PLACES * 3, made(rate, contention, coherence, noise))


@pytest.mark.parametrize(
    "true", [(2.0, 0.005, 1e-4), (20.0, 0.02, 5e-5), (200.0, 0.05, 1e-3), (3000.0, 0.1, 2e-4)]
)
def test_known_parameters_are_recovered(true: tuple[float, float, float]) -> None:
    exactly = fitted(*true, noise=0)
    assert exactly.values == pytest.approx(true, rel=1e-3)
    found = fitted(*true)
    assert found.values == pytest.approx(true, rel=0.4)
    assert found.peak == pytest.approx(((1 - true[1]) / true[2]) ** 0.5, rel=0.15)
    assert found.doubts == []


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    true, seeds = (200.0, 0.05, 1e-3), 40
    held = [0, 0, 0]
    for seed in range(seeds):
        found = fit(PLACES * 3, made(*true, seed=seed))
        for i, value in enumerate(true):
            held[i] += found[i].low < value < found[i].high
    # 38 of 40 are expected; fewer than 33 would come by chance once in some hundreds.
    assert min(held) >= 33
    # They are not just wide.
    assert found.coherence.high - found.coherence.low < 0.5 * found.coherence.value


def test_what_is_not_in_the_data_is_not_told() -> None:
    linear = fitted(20.0, 0.0, 0.0)
    assert linear.peak is None
    assert "coherence can't be told from none, so no peak is foretold" in linear.doubts
    assert "contention can't be told from none" in linear.doubts
    # All points are on the plateau: how steep the way up to it was, nobody has seen.
    saturated = fitted(40_000.0, 0.9999, 0.0, noise=0.05)
    assert any("saturated from the first point on" in doubt for doubt in saturated.doubts)


def test_a_law_that_does_not_hold_is_seen_in_the_residuals() -> None:
    bent = [100.0 if places < 50 else 400.0 for places in PLACES]
    assert any("off the curve" in doubt for doubt in fit(PLACES, bent).doubts)
    with pytest.raises(BenchError, match="3 numbers of places are too few"):
        fit([8, 16, 24, 8], [1, 2, 3, 1])


def test_the_batch_wins_from_where_the_curves_say() -> None:
    # 1 + 0.001 N (N - 1) = 1.1 at N = 10.5: from 11 on.
    upper, lower = fitted(20.0, 0.0, 0.0), fitted(20.0, 0.0, 0.001)
    found = crossing(upper, lower)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 11 <= found.high
    assert found.high - found.low < 12
    assert crossing(lower, upper).places is None
    # The same curve twice: some of what the data allow cross somewhere, so nothing is sure.
    same = crossing(upper, fitted(20.0, 0.0, 0.0, noise=0.05))
    assert same.high is None


def test_windmills_formulas_give_what_it_measured() -> None:
    for places, batch, single in windmill.MEASURED:
        assert round(windmill.batched(places)) == batch
        assert round(windmill.one_by_one(places)) == single
    assert crossing_of(windmill.batched, windmill.one_by_one).places == 1


def line(system: str, rates: list[float]) -> Measured:
    return Measured(
        workload="scale50", round=1, system=system, version="1", keeps_results=True,
        isolates=True, jobs=1, settings={}, source="here", why="", figures={}, others=0.0,
        series={"places": PLACES * 3, "rates": rates},
    )  # fmt: skip


def test_the_page_tells_points_fits_and_where_the_batch_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "raw.jsonl"
    results.append(file, About("command", "date", [], {}, {}))
    with pytest.raises(BenchError, match="no scale-out of two of wsup, single, wsup-http"):
        model.show([file], write=False)
    results.append(file, line("wsup", made(20.0, 0.001, 1e-6)))
    results.append(file, line("single", made(19.9, 0.001, 0.001)))
    model.show([file], write=True, docs=tmp_path)
    page = (tmp_path / "scale.md").read_text()
    assert page.rstrip().startswith("# How throughput grows with subworkers")
    assert "Jobs of 50 ms: the batch wins by 10% from 1" in page
    assert "| 8 | 108 | 88 | 1.23 |" in page
    assert "<svg" in (tmp_path / "scale-50.svg").read_text()
    assert "Jobs of 50 ms: the batch wins" in capsys.readouterr().out


def test_hosts_over_http_are_a_third_line_of_another_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    places = [8.0, 24.0, 80.0, 160.0]
    rates = law(np.asarray(places), 150.0, 0.01, 1e-5).tolist()
    served = msgspec.structs.replace(
        line("wsup-http", []), workload="http", series={"places": places, "pause_rate": rates}
    )
    direct = msgspec.structs.replace(
        served, system="wsup", series={"places": places, "pause_rate": [1.0, 2.0, 3.0, 4.0]}
    )
    long, http = tmp_path / "long.jsonl", tmp_path / "http.jsonl"
    for file, lines in (
        (long, [line("wsup", made(160.0, 0.001, 1e-6)), line("single", made(100.0, 0.01, 1e-3))]),
        (http, [direct, served]),
    ):
        results.append(file, About("command", "date", [], {}, {}))
        for one in lines:
            workload = "scale5" if one.workload == "scale50" else one.workload
            results.append(file, msgspec.structs.replace(one, workload=workload))
    (found,) = study.studies([results.read(file) for file in (long, http)])
    assert [curve.system for curve in found.curves] == ["wsup", "single", "wsup-http"]
    assert found.served is not None
    assert found.served.fit.values == pytest.approx((150.0, 0.01, 1e-5), rel=1e-3)
    assert found.batch is not None
    assert max(found.batch.places) == max(PLACES)  # the first run's, not the second's
    model.show([long, http], write=True, docs=tmp_path)
    page = (tmp_path / "scale.md").read_text()
    assert "from [long.jsonl](long.jsonl) and [http.jsonl](http.jsonl)" in page
    assert "Jobs of 5 ms, over HTTP: the batch wins by 10% from 1" in page
    assert "| 5 ms | wsup-http | 150 (" in page
    # Of the second run alone, there are two lines, and none that pulls one by one.
    (alone,) = study.studies([results.read(http)])
    assert [curve.system for curve in alone.curves] == ["wsup", "wsup-http"]
    assert alone.crossings == []
