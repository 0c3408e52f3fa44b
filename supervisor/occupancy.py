"""How busy the subworkers are, and how fast jobs finish: averages over several spans of time."""

import math
import time
from collections.abc import Sequence


class Averages:
    """Exponentially weighted averages over the spans, in seconds, fed at irregular times."""

    def __init__(self, spans: Sequence[float]) -> None:
        self._spans = spans
        self.values = [0.0] * len(spans)
        self._since = time.monotonic()

    def feed(self, value: float, now: float) -> None:
        """`value` held from the last call until `now`."""
        elapsed, self._since = now - self._since, now
        for i, span in enumerate(self._spans):
            weight = 1 - math.exp(-elapsed / span)
            self.values[i] += weight * (value - self.values[i])


class Meter:
    """What this host does: jobs done, their rate, and the share of subworkers at work."""

    def __init__(self) -> None:
        self.done = 0
        self._started = time.monotonic()
        self._done_before = 0
        self._fed_at = time.monotonic()
        #: Share of busy subworkers over 15 s, 5 min and 30 min.
        self.occupancy = Averages((15, 300, 1800))
        #: Jobs a second over 1 s, 15 s and 5 min.
        self.rate = Averages((1, 15, 300))

    def uptime(self) -> float:
        """Seconds."""
        return time.monotonic() - self._started

    def sample(self, busy: int, members: int) -> None:
        """To be called about once a second."""
        now = time.monotonic()
        elapsed = now - self._fed_at
        if elapsed <= 0:
            return
        self.rate.feed((self.done - self._done_before) / elapsed, now)
        self.occupancy.feed(busy / members if members else 0.0, now)
        self._done_before, self._fed_at = self.done, now
