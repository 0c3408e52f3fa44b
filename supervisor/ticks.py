"""When a schedule ticks: pure computation, with moments that the caller gives.

Cron expressions are cronsim's, which follows Debian's cron over the steps of daylight saving. An
expression that names its minutes and hours (neither begins with "*") runs once for each of its
local times: one that the step forward leaves out runs right after the step, one that comes twice
runs the first time. Others ("*/15 * * * *", "0 * * * *") run by elapsed time, in every hour that
there is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from typing import Final, Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo

from cronsim import CronSim

CatchUp: TypeAlias = Literal["none", "last", "all"]

#: Seconds that a tick may be late and still is not a missed one: servers restart in that time.
LATE_SECONDS: Final = 5.0
#: Missed ticks of one schedule that catch_up="all" makes jobs of at most: the latest ones.
MOST_MISSED: Final = 1000
#: Seconds; a shorter pause is a loop's business, not a database's.
SHORTEST: Final = 0.1
#: Seconds (100 years).
LONGEST: Final = 100 * 366 * 86400
#: Of a cron expression: minute, hour, day of the month, month, day of the week.
FIELDS: Final = 5
#: A step of daylight saving is shorter.
_STEP: Final = timedelta(hours=3)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Unticking(ValueError):
    """No rhythm can be made of this; `key` is what is wrong."""

    def __init__(self, key: str, need: str) -> None:
        super().__init__(f"give {need}")
        self.key = key


class Rhythm(Protocol):
    """Ticks without end; each a moment in UTC."""

    def after(self, moment: datetime) -> datetime:
        """The first tick later than `moment`."""

    def back(self, moment: datetime) -> Iterator[datetime]:
        """The ticks from `moment` (included) back into the past."""


class Every:
    """Every so many seconds since 1970 began in UTC, whoever counts and whenever they began."""

    def __init__(self, seconds: float) -> None:
        if not SHORTEST <= seconds <= LONGEST:
            raise Unticking("every", f"{SHORTEST:g} seconds or more, up to 100 years")
        self._step = timedelta(microseconds=round(seconds * 1_000_000))

    def after(self, moment: datetime) -> datetime:
        return self._at_or_before(moment) + self._step

    def back(self, moment: datetime) -> Iterator[datetime]:
        tick = self._at_or_before(moment)
        while True:
            yield tick
            tick -= self._step

    def _at_or_before(self, moment: datetime) -> datetime:
        return _EPOCH + (moment - _EPOCH) // self._step * self._step


class Cron:
    """At the local times of a cron expression of five fields."""

    def __init__(self, expression: str, timezone: str) -> None:
        self._zone = _zone(timezone)
        self._expression = expression
        if not isinstance(expression, str) or len(expression.split()) != FIELDS:
            raise Unticking("cron", "five fields, such as '*/5 * * * *'; for seconds, every=10")
        try:
            CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
        except Exception as error:  # whatever it makes of nonsense
            what = str(error).lower() or type(error).__name__
            raise Unticking("cron", f"five fields as crontab(5) has them ({what})") from None
        try:
            self.after(datetime(2020, 1, 1, tzinfo=UTC))
        except StopIteration:
            raise Unticking("cron", "a day that comes within 50 years") from None

    def after(self, moment: datetime) -> datetime:
        # In the hour that comes twice, cronsim may give the first one's tick once more.
        ticks = CronSim(self._expression, moment.astimezone(self._zone))
        return next(tick for tick in _in_utc(ticks) if tick > moment)

    def back(self, moment: datetime) -> Iterator[datetime]:
        # From further on, for in the hour that comes twice, cronsim may leave out the first one's.
        start = (moment + _STEP).astimezone(self._zone)
        last = None
        for tick in _in_utc(CronSim(self._expression, start, reverse=True)):
            if tick <= moment and tick != last:
                last = tick
                yield tick


def _in_utc(ticks: Iterator[datetime]) -> Iterator[datetime]:
    return (tick.astimezone(UTC) for tick in ticks)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        raise Unticking(
            "timezone", "a name like 'Europe/Vienna' that this host's time zone database has"
        ) from None


@lru_cache(maxsize=1000)
def rhythm(cron: str | None, timezone: str, every: float | None) -> Rhythm:
    """The rhythm of a schedule. Raises Unticking."""
    return Every(every) if every is not None else Cron(cron or "", timezone)


@dataclass(frozen=True, slots=True)
class Due:
    """What a schedule whose tick has come is to do now."""

    #: The ticks to make jobs of, the oldest first.
    ticks: list[datetime]
    next_tick: datetime
    #: Some were missed and are not caught up.
    skipped: bool = False


def fall_due(beat: Rhythm, catch_up: CatchUp, tick: datetime, now: datetime) -> Due:
    """What to do about `tick`, and those that have come since, `now` that it is so late."""
    next_tick = beat.after(max(now, tick))
    if now - tick <= timedelta(seconds=LATE_SECONDS):
        return Due(_since(beat, tick, now), next_tick)
    if catch_up == "none":
        return Due([], next_tick, skipped=True)
    missed = list(islice(_back_to(beat, tick, now), MOST_MISSED + 1 if catch_up == "all" else 2))
    kept = missed[: MOST_MISSED if catch_up == "all" else 1]
    return Due(kept[::-1], next_tick, skipped=len(missed) > len(kept))


def _since(beat: Rhythm, tick: datetime, now: datetime) -> list[datetime]:
    return list(_back_to(beat, tick, now))[::-1]


def _back_to(beat: Rhythm, tick: datetime, now: datetime) -> Iterator[datetime]:
    """The ticks from `now` back to `tick`."""
    for earlier in beat.back(now):
        if earlier < tick:
            return
        yield earlier
