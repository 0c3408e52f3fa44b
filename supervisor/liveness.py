"""Showing others that this supervisor lives, and giving back the jobs of those that don't."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..sql.answers import Peer
from ..sql.source import PostgresSource

log = logging.getLogger("wsup.liveness")

#: Seconds that an observer must have been connected without a break before it may say that
#: somebody is dead: a restart of the server frees everybody's lock, and must bury nobody.
WITNESS_SECONDS = 5.0
#: Seconds for which a supervisor's lock must have been free.
FREE_SECONDS = 1.0


@dataclass
class _Seen:
    beat: int
    beat_since: float
    free_since: float | None

    @property
    def silent_since(self) -> float | None:
        """Since when nothing has spoken for its life, neither its lock nor a beat."""
        return None if self.free_since is None else max(self.free_since, self.beat_since)


class Witness:
    """Watches the other supervisors, each by this host's own monotonic clock.

    One is dead when its session's lock has been free for a second without a beat (who has lost
    that session only still beats by the other one), or when it hasn't beaten for its whole lease
    (its host may be cut off while its session still hangs on the server).
    """

    def __init__(self, source: PostgresSource, max_lost: int) -> None:
        self._source = source
        self._max_lost = max_lost
        self._seen: dict[int, _Seen] = {}
        self._connected_since = time.monotonic()

    @property
    def next_verdict(self) -> float:
        """When a lock that is free now will have been free for long enough, on the monotonic
        clock; infinity if none is."""
        silent = [
            seen.silent_since for seen in self._seen.values() if seen.silent_since is not None
        ]
        if not silent:
            return math.inf
        return max(min(silent) + FREE_SECONDS, self._connected_since + WITNESS_SECONDS)

    def forget(self) -> None:
        """Nobody else has claims: there is nothing to take over."""
        self._seen.clear()

    def reconnected(self) -> None:
        """The connection was lost: what was seen before it counts no longer."""
        self.forget()
        self._connected_since = time.monotonic()

    async def look(self) -> int:
        """Look at the others, and bury the dead; returns how many jobs were freed."""
        peers = await self._source.peers()
        dead = self._judge(peers, time.monotonic())
        freed = 0
        for peer in dead:
            jobs = await self._source.rescue(peer.id, self._max_lost)
            log.warning("supervisor %d is dead: %d of its jobs are given to others", peer.id, jobs)
            del self._seen[peer.id]
            freed += jobs
        return freed

    def _judge(self, peers: Sequence[Peer], now: float) -> list[Peer]:
        self._seen = {peer.id: self._note(peer, self._seen.get(peer.id), now) for peer in peers}
        if now - self._connected_since < WITNESS_SECONDS:
            return []
        return [peer for peer in peers if self._is_dead(peer, self._seen[peer.id], now)]

    def _note(self, peer: Peer, seen: _Seen | None, now: float) -> _Seen:
        if seen is None or seen.beat != peer.beat:
            seen = _Seen(peer.beat, now, seen.free_since if seen else None)
        if peer.connected:
            seen.free_since = None
        elif seen.free_since is None:
            seen.free_since = now
        return seen

    def _is_dead(self, peer: Peer, seen: _Seen, now: float) -> bool:
        if seen.silent_since is not None and now - seen.silent_since >= FREE_SECONDS:
            return True
        return peer.lease > 0 and now - seen.beat_since >= peer.lease
