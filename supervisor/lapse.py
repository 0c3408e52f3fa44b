"""Whether this process has been away for so long that it may have been taken for dead meanwhile.

It may have been stopped, swapped out, or frozen with its machine. Nobody tells it so; all that it
can see is that the clock has moved on. Until it is known that its jobs are still its own, it starts
none and pulls none: others may have run them by now.
"""

import time
from collections.abc import Callable

from .liveness import FREE_SECONDS


class Lapse:
    def __init__(self) -> None:
        #: Called when there is a doubt; set by who can settle it.
        self.on_doubt: Callable[[], None] = lambda: None
        self._last = time.monotonic()
        #: How often there was reason for a doubt.
        self.count = 0
        self._settled = 0

    @property
    def doubtful(self) -> bool:
        """Is it not known whether the jobs here are still ours?"""
        return self._settled < self.count

    def look(self) -> bool:
        """Look at the clock; returns whether there is a doubt. To be called often."""
        last, self._last = self._last, time.monotonic()
        if self._last - last > FREE_SECONDS:
            self.count += 1
            self.on_doubt()
        return self.doubtful

    def settle(self, asked_at: int) -> None:
        """The database has said that this supervisor is not taken for dead, or is a new one.

        `asked_at` is what `count` was when it was asked: an older answer may have waited all the
        while that this process was away.
        """
        self._settled = max(self._settled, asked_at)
