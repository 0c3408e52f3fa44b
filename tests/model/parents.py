"""What children wait for, and what has become of it: the reference of dependencies."""

from collections.abc import Callable

ENDED = ("succeeded", "failed", "cancelled", "expired")
Kind = Callable[[int], str | None]


class Parents:
    def __init__(self) -> None:
        #: By blocked child, its parents: may they end in whatever way?
        self._waits: dict[int, dict[int, bool]] = {}
        #: By child, the parents that have ended well enough, and those that have not, at some
        #: moment since it was blocked. Whoever saw that may tell it later, whatever came after.
        self._met: dict[int, set[int]] = {}
        self._failed: dict[int, set[int]] = {}

    def hold(self, child: int, waits: dict[int, bool]) -> None:
        """From now on it waits for these; for none: it isn't blocked."""
        self._waits.pop(child, None)
        if waits:
            self._waits[child] = waits
            self._met[child], self._failed[child] = set(), set()

    def waiting(self) -> list[int]:
        return sorted(self._waits)

    def have_any(self, jobs: set[int]) -> bool:
        """Are some of these parents that somebody waits for?"""
        return any(waits.keys() & jobs for waits in self._waits.values())

    def note(self, kind: Kind) -> None:
        """Look which parents have ended."""
        for child, waits in self._waits.items():
            for parent, lax in waits.items():
                state = kind(parent)
                if state is None or state in ENDED:  # None: it was removed, unseen by its child
                    well = lax or state == "succeeded"
                    (self._met if well else self._failed)[child].add(parent)

    def is_free(self, child: int) -> bool:
        return self._met[child] >= self._waits[child].keys()

    def is_doomed(self, child: int) -> bool:
        return bool(self._failed[child])

    def left_behind(self, kind: Kind) -> dict[int, set[int]]:
        """The children for which nothing is left to wait for; each with whom that concerns."""
        return {
            child: {child, *waits}
            for child, waits in self._waits.items()
            if all(kind(parent) in (None, *ENDED) for parent in waits)
            or any(not lax and kind(p) in ENDED[1:] for p, lax in waits.items())
        }
