"""Recycling: a subworker that has done, grown or lived enough is replaced, without a gap.

The new one is warm before the old one leaves. One at a time: two lives at once take memory, and
start hooks may open connections.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from .generation import AppFailed, TemplateDied
from .member import Member, State
from .memory import rss

log = logging.getLogger("wsup.recycling")

#: Seconds between two looks at ages and sizes.
LOOK_SECONDS = 1.0
#: Seconds until the next try, after a replacement that did not get warm.
RETRY_SECONDS = 30.0


class Limits(NamedTuple):
    """After what a subworker is replaced; 0 for no limit. Each subworker gets up to a fifth less,
    by chance, so that not all of them are due at once."""

    jobs: int = 0
    #: Bytes, shared pages included.
    rss: int = 0
    #: Seconds.
    age: float = 0.0


class Recycling:
    def __init__(
        self,
        members: Callable[[], Sequence[Member]],
        renew: Callable[[Member], Awaitable[None]],
    ) -> None:
        self._members = members
        self._renew = renew
        self.limits = Limits()
        self._due: dict[Member, str] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._warned = False

    def start(self, limits: Limits) -> None:
        """Keep to these limits from now on."""
        self.stop()
        self.limits = limits
        self._warned = False
        if limits.rss or limits.age:
            self._look()

    def stop(self) -> None:
        self.limits = Limits()
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None

    def count(self, member: Member) -> None:
        """It has reported; perhaps it has done enough."""
        most = self.limits.jobs
        if most and member.done >= most * member.share:
            self._replace(member, f"it has done {member.done} jobs")

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
        now = time.monotonic()
        for member in list(self._members()):
            if self.limits.age and now - member.born_at >= self.limits.age * member.share:
                self._replace(member, f"it is {now - member.born_at:.0f} s old")
            if self.limits.rss and member.pid is not None:
                self._weigh(member, rss(member.pid))

    def _weigh(self, member: Member, size: int | None) -> None:
        if size is None:
            return
        if member.first_rss is None and not member.done:
            member.first_rss = size
        if size < self.limits.rss * member.share:
            return
        if size <= (member.first_rss or 0) * 1.1:  # a new one would be no smaller
            if not self._warned:
                self._warned = True
                log.error(
                    "max_rss = %d: a subworker takes %d bytes before its first job; raise it",
                    self.limits.rss, size,
                )  # fmt: skip
            return
        self._replace(member, f"it takes {size >> 20} MiB")

    def _replace(self, member: Member, why: str) -> None:
        if member.state is State.READY:
            self._due.setdefault(member, why)
        if self._renewing is None and self._due:
            self._renewing = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._due:
                member = next(iter(self._due))
                why = self._due.pop(member)
                if member.state is State.READY and member in self._members():
                    await self._recycle(member, why)
        finally:
            if self._renewing is asyncio.current_task():
                self._renewing = None

    async def _recycle(self, member: Member, why: str) -> None:
        try:
            await self._renew(member)
            log.info("%s was recycled: %s", member, why)
        except (AppFailed, TemplateDied, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            log.error("%s can't be recycled and goes on: %s", member, reason)
            await asyncio.sleep(RETRY_SECONDS)
