"""The limits that the app's code has, made those of the database; and how many jobs of a task this
host may run, of which there is a limit for each host.

Jobs of such a task stand in a stream of their own, a queue for each (`wsup.stream`). While as many
as may run here do, this host doesn't pull from it, so they are in nobody's way.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from ..sql.answers import Row
from ..subworkers.declared import LimitInfo
from .source import Source
from .stirred import Stirred

log = logging.getLogger("wsup.limits")


class PerHost:
    """How many more jobs of some tasks may run here."""

    def __init__(self, here: Callable[[], Iterable[Row]]) -> None:
        self._here = here
        #: By task: how many of its jobs may run on a host; None: any number, but there may be some
        #: in its stream.
        self._most: dict[str, int | None] = {}
        #: Those that had no room when it was last asked for.
        self._full: set[str] = set()

    def heed(self, most: dict[str, int | None]) -> bool:
        """These are the limits from now on; returns whether that is new."""
        if most == self._most:
            return False
        self._most = most
        return True

    @property
    def tasks(self) -> Sequence[str]:
        return tuple(self._most)

    def rooms(self, most: int) -> list[tuple[str, int]]:
        """Each task that has room here, and for how many: at most so many."""
        if not self._most:
            return []
        running = Counter(row[3] for row in self._here())
        rooms = [
            (task, most if limit is None else min(most, limit - running[task]))
            for task, limit in self._most.items()
        ]
        self._full = {task for task, room in rooms if room <= 0}
        return [(task, room) for task, room in rooms if room > 0]

    def has_opened(self) -> bool:
        """Is there room now for a task that had none?"""
        full = self._full  # as of before; to ask for rooms looks anew
        return bool(full) and any(task in full for task, _ in self.rooms(1))


class Limits(Stirred):
    def __init__(
        self,
        source: Source,
        per_host: PerHost,
        *,
        on_change: Callable[[], None],
        on_lost: Callable[[str], None],
    ) -> None:
        super().__init__("limits", source, on_lost)
        self._per_host = per_host
        self._on_change = on_change
        self._app = ""
        self._tasks: Collection[str] = ()
        self._limits: Sequence[LimitInfo] = ()
        #: The database has not been told of them yet.
        self._must_define = False

    def load(self, app: str, limits: Sequence[LimitInfo], tasks: Collection[str]) -> None:
        """The app has been loaded: from now on it has these tasks, and its code says this."""
        self._app = app
        self._tasks = tasks
        self._limits = limits
        self._must_define = True
        self.stir()

    async def _look(self) -> float | None:
        if self._must_define:
            limits = self._limits
            for kind, name, change in await self._source.limits.define(self._app, limits):
                log.info("limits of %s %s are %s", kind, name, change)
            self._must_define = self._limits is not limits  # a reload meanwhile brings others
        found = await self._source.limits.per_host()
        if self._per_host.heed({task: n for task, n in found.items() if task in self._tasks}):
            self._on_change()
        return None
