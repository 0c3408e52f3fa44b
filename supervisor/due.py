"""When the supervisor is to look at what falls due by the clock."""

import asyncio
from collections.abc import Callable

#: Seconds ahead from which on no timer is set: a beat will see it again.
FAR_SECONDS = 60.0


class Due:
    """One timer, for what comes first."""

    def __init__(self, on_due: Callable[[], None]) -> None:
        self._on_due = on_due
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, seconds: float | None) -> None:
        """It is in so many seconds, and not before; None: never."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None and seconds < FAR_SECONDS:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._ring)

    def expect_also(self, seconds: float) -> None:
        """Something is due then, and others perhaps before."""
        now = asyncio.get_running_loop().time()
        if self._timer is None or self._timer.when() > now + seconds:
            self.expect(seconds)

    def _ring(self) -> None:
        self._timer = None
        self._on_due()
