"""Pulled jobs that wait here for so long that other hosts should have them."""

import time

from .backlog import Line

#: Seconds over which the pace of a line is measured: what it hands out meanwhile is kept.
PACE_SECONDS = 1.0
#: How many times as much it may hold. Demand holds half a second's work at most, by the pace at
#: which jobs ended before; the ones that follow may be a thousand times longer.
MOST_PACES = 2


class Surplus:
    def __init__(self, line: Line) -> None:
        self._line = line
        self._handed = 0
        self._since = time.monotonic()

    def count(self, now: float) -> int:
        """How many calls, the last ones in line, are to be given back at `now`, in seconds of
        `time.monotonic()`. To be called often."""
        line = self._line
        if line and now - self._since < PACE_SECONDS:
            return 0
        handed = line.handed - self._handed
        self._handed, self._since = line.handed, now
        return len(line) - handed if len(line) > MOST_PACES * handed else 0
