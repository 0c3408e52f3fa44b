"""What was read once for all who ask, until it may have changed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

#: So many things are remembered at most.
MOST_PAGES = 1000


class _Page(NamedTuple, Generic[T]):
    asked_at: float
    reading: "asyncio.Future[tuple[float, T]]"


class Remembered(Generic[T]):
    """`most_age` tells for how many seconds what was read is good."""

    def __init__(self, most_age: Callable[[], float]) -> None:
        self._most_age = most_age
        self._pages: dict[Hashable, _Page[T]] = {}

    def forget(self, key: Hashable = None) -> None:
        """It may have changed; without a key, all of it. Who has asked before that gets the old
        answer."""
        if key is None:
            self._pages.clear()
        else:
            self._pages.pop(key, None)

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> tuple[float, T]:
        """When it was read, on the monotonic clock, and what."""
        page = self._pages.get(key)
        if page is None or time.monotonic() - page.asked_at > self._most_age():
            if len(self._pages) >= MOST_PAGES:
                self._pages.clear()
            page = _Page(time.monotonic(), asyncio.ensure_future(_timed(read)))
            self._pages[key] = page
        try:
            return await asyncio.shield(page.reading)
        except BaseException:
            if self._pages.get(key) is page and page.reading.done():
                del self._pages[key]
            raise


async def _timed(read: Callable[[], Awaitable[T]]) -> tuple[float, T]:
    value = await read()
    return time.monotonic(), value
