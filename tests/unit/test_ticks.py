"""When schedules tick: the steps of daylight saving both ways, and what was missed."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from wsup.supervisor.ticks import (
    MOST_MISSED,
    CatchUp,
    Cron,
    Every,
    Rhythm,
    Unticking,
    fall_due,
    rhythm,
)

VIENNA = ZoneInfo("Europe/Vienna")
#: In Vienna, 02:00 to 03:00 isn't there on 2026-03-29, and comes twice on 2026-10-25.
FORWARD, BACK = (2026, 3, 29), (2026, 10, 25)


def local(cron: str, *day: int, zone: ZoneInfo = VIENNA) -> list[str]:
    """The ticks of that day, in local time with the offset."""
    start = datetime(*day, tzinfo=zone).astimezone(UTC)  # type: ignore[arg-type, misc]
    end = (datetime(*day, tzinfo=zone) + timedelta(days=1)).astimezone(UTC)  # type: ignore[arg-type, misc]
    return [
        tick.astimezone(zone).strftime("%H:%M%z")
        for tick in between(Cron(cron, zone.key), start, end)
    ]


def between(beat: Rhythm, start: datetime, end: datetime) -> list[datetime]:
    """The ticks from `start` (included) until `end`."""
    found, moment = [], start - timedelta(microseconds=1)
    while (moment := beat.after(moment)) < end:
        found.append(moment)
    return found


@pytest.mark.parametrize(
    ("cron", "day", "ticks"),
    [
        ("30 2 * * *", (2026, 3, 28), ["02:30+0100"]),
        ("30 2 * * *", FORWARD, ["03:00+0200"]),
        ("0,30 2 * * *", FORWARD, ["03:00+0200"]),
        ("0 3 * * *", FORWARD, ["03:00+0200"]),
        ("30 1,2,3 * * *", FORWARD, ["01:30+0100", "03:00+0200", "03:30+0200"]),
        ("0 * * * *", FORWARD, [f"{h:02}:00+0{1 if h < 2 else 2}00" for h in range(24) if h != 2]),
        ("*/30 2 * * *", FORWARD, []),
        ("30 2 * * *", BACK, ["02:30+0200"]),
        ("0 2,3 * * *", BACK, ["02:00+0200", "03:00+0100"]),
        ("59 1-3 * * *", BACK, ["01:59+0200", "02:59+0200", "03:59+0100"]),
        (
            "0 * * * *",
            BACK,
            [f"{h:02}:00+0200" for h in range(3)] + [f"{h:02}:00+0100" for h in range(2, 24)],
        ),
        ("*/30 2 * * *", BACK, ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]),
        ("30 2 * * *", (2026, 10, 26), ["02:30+0100"]),
    ],
)
def test_the_steps_of_daylight_saving(cron: str, day: tuple[int, ...], ticks: list[str]) -> None:
    assert local(cron, *day) == ticks


@pytest.mark.parametrize("day", [FORWARD, BACK, (2026, 7, 1)])
@pytest.mark.parametrize(
    "cron", ["30 2 * * *", "59 1-3 * * *", "0 * * * *", "*/20 * * * *", "0-59/10 0-23 * * *"]
)
def test_they_are_the_same_from_wherever_one_looks(cron: str, day: tuple[int, int, int]) -> None:
    """A supervisor may start at any moment, and looks back from any other."""
    beat = Cron(cron, "Europe/Vienna")
    middle = datetime(*day, tzinfo=UTC)
    start, end = middle - timedelta(days=1), middle + timedelta(days=2)
    ticks = between(beat, start, end)
    assert len(ticks) > 2
    for before, after in pairwise(ticks):
        half = before + (after - before) / 2
        for moment in (before, half, after - timedelta(microseconds=1)):
            assert (beat.after(moment), next(beat.back(moment))) == (after, before)
    backwards = islice(beat.back(ticks[-1]), len(ticks))
    assert list(backwards) == ticks[::-1]


def test_every_counts_plain_seconds_from_1970() -> None:
    beat = Every(0.2)
    moment = datetime(2026, 3, 29, 0, 59, 59, 950_000, tzinfo=UTC)
    assert beat.after(moment) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert beat.after(beat.after(moment)) == datetime(2026, 3, 29, 1, 0, 0, 200_000, tzinfo=UTC)
    assert next(beat.back(moment)) == datetime(2026, 3, 29, 0, 59, 59, 800_000, tzinfo=UTC)
    assert Every(5).after(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(
        2026, 1, 1, 0, 0, 5, tzinfo=UTC
    )


NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
def test_a_tick_that_is_only_late_is_not_missed(catch_up: CatchUp) -> None:
    beat = Every(1)
    due = fall_due(beat, catch_up, NOW - timedelta(seconds=3), NOW + timedelta(seconds=0.5))
    assert [(NOW - tick).seconds for tick in due.ticks] == [3, 2, 1, 0]
    assert (due.next_tick, due.skipped) == (NOW + timedelta(seconds=1), False)


@pytest.mark.parametrize(
    ("catch_up", "ages", "skipped"),
    [("none", [], True), ("last", [30], True), ("all", [270, 210, 150, 90, 30], False)],
)
def test_missed_ticks(catch_up: CatchUp, ages: list[int], skipped: bool) -> None:
    beat = Cron("* * * * *", "Europe/Vienna")
    due = fall_due(beat, catch_up, NOW - timedelta(seconds=270), NOW)
    assert [(NOW - tick).seconds for tick in due.ticks] == ages
    assert (due.next_tick, due.skipped) == (NOW + timedelta(seconds=30), skipped)


def test_a_single_missed_tick_is_the_last() -> None:
    beat = Cron("0 3 * * *", "UTC")
    tick = datetime(2026, 11, 22, 3, tzinfo=UTC)
    due = fall_due(beat, "last", tick, NOW)
    assert (due.ticks, due.skipped) == ([tick], False)


def test_the_latest_thousand_are_caught_up_after_a_year() -> None:
    beat = Cron("* * * * *", "Europe/Vienna")
    due = fall_due(beat, "all", NOW - timedelta(days=365, seconds=30), NOW)
    assert len(due.ticks) == MOST_MISSED
    assert due.ticks[-1] == NOW - timedelta(seconds=30)
    assert {after - before for before, after in pairwise(due.ticks)} == {timedelta(minutes=1)}
    assert due.skipped


@pytest.mark.parametrize(
    ("cron", "timezone", "every", "key"),
    [
        ("61 * * * *", "UTC", None, "cron"),
        ("* * * *", "UTC", None, "cron"),
        ("0 * * * * *", "UTC", None, "cron"),
        ("@daily", "UTC", None, "cron"),
        ("", "UTC", None, "cron"),
        ("a b c d e", "UTC", None, "cron"),
        ("0 0 31 2 *", "UTC", None, "cron"),
        ("* * */20 * 1L", "UTC", None, "cron"),
        ("* * * * *", "Mars/Base", None, "timezone"),
        ("* * * * *", "Europe", None, "timezone"),
        ("* * * * *", "../../etc/passwd", None, "timezone"),
        ("* * * * *", "", None, "timezone"),
        (None, "UTC", 0.05, "every"),
        (None, "UTC", float("nan"), "every"),
        (None, "UTC", float("inf"), "every"),
    ],
)
def test_what_can_not_be_kept(
    cron: str | None, timezone: str, every: float | None, key: str
) -> None:
    with pytest.raises(Unticking, match=r"^give ") as caught:
        rhythm(cron, timezone, every)
    assert caught.value.key == key
