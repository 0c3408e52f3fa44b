"""Who stands in line for a key, and who has a turn: the reference of keys."""

from collections.abc import Mapping

from effects import Request
from found import Found, Place

#: By key, what its jobs say of the limit.
LIMITS = {"one": 1, "two": 2}
#: Where a job stands that waits for its turn.
IN_LINE = "in line"


class Turns:
    def __init__(self, requests: Mapping[int, Request], places: Mapping[int, Place]) -> None:
        self._requests = requests
        self._places = places
        #: The limits that an operator has set.
        self.given: dict[str, int] = {}
        self.marks: set[str] = set()
        #: As many as may have a turn: what runs goes on when a limit is lowered.
        self._most = dict(LIMITS)

    def _limit(self, key: str) -> int:
        return self.given.get(key, LIMITS[key])

    def order(self, job: int) -> tuple[int, int]:
        return -self._requests[job].priority, job

    def line(self, key: str) -> list[int]:
        """Those who wait, the first one first."""
        return sorted(
            (job for job in self._of(key) if self._places[job][0] == IN_LINE), key=self.order
        )

    def _of(self, key: str) -> list[int]:
        return [job for job, request in self._requests.items() if request.key == key]

    def _holders(self, key: str) -> list[int]:
        return [job for job in self._of(key) if self._places[job][0] in ("ready", "claim")]

    def held(self) -> set[tuple[str, int]]:
        """Keys, and those who have a turn."""
        return {(key, job) for key in LIMITS for job in self._holders(key)}

    def next_in(self, dropped: set[int]) -> list[int]:
        """Who becomes ready by a pull that nobody disturbs, and which cancels these first."""
        come: list[int] = []
        for key in LIMITS:
            holders = self._holders(key)
            kept = [j for j in holders if self._places[j][0] == "claim" or j not in dropped]
            if key in self.marks or len(kept) < len(holders):
                line = [job for job in self.line(key) if job not in dropped]
                come += line[: max(0, self._limit(key) - len(kept))]
        return come

    def check_order(self, lines: Mapping[str, list[int]]) -> None:
        """Of those who were in line, none has been passed over."""
        for line in lines.values():
            stands = {job: self._places.get(job, ("",))[0] for job in line}
            came = [job for job in line if stands[job] in ("ready", "claim")]
            left = [job for job in line if stands[job] == IN_LINE]
            passed = came and left and line.index(came[-1]) > line.index(left[0])
            assert not passed, f"job {came[-1]} came before job {left[0]}"

    def check(self, found: Found, *, quiet: bool) -> None:
        turns = self.held()
        assert found.turns == turns, f"who has a turn: {found.turns}, must be {turns}"
        for key in LIMITS:
            held, limit = len(self._holders(key)), self._limit(key)
            self._most[key] = max(self._most[key], limit)
            assert held <= self._most[key], f"{held} have a turn of key {key}, limit {limit}"
            if quiet:  # otherwise one that has seen the old limit may still be letting jobs in
                self._most[key] = max(limit, held)
            left = held < limit and self.line(key)
            assert not left or key in found.marks, f"nobody will ever let in jobs {left}"
        self.marks = found.marks
