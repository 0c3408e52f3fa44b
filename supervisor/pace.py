"""How long the jobs of a subworker take, learnt from its last reports."""

import time
from collections.abc import Iterable

#: Seconds without a report after which the mean is no guess any more.
MEAN_SECONDS = 1.0
#: Weight of the latest reports in the mean.
_SMOOTHING = 0.2


class Pace:
    def __init__(self) -> None:
        #: Seconds of a job; None until one was seen.
        self.mean: float | None = None
        self._learned_at = 0.0

    @property
    def lately(self) -> float | None:
        """The mean, if it still is a guess."""
        return self.mean if time.monotonic() - self._learned_at < MEAN_SECONDS else None

    def took(self, seconds: Iterable[float]) -> None:
        self._learned_at = time.monotonic()
        for value in seconds:
            self.mean = value if self.mean is None else self.mean + _SMOOTHING * (value - self.mean)
