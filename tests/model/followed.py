"""References of what decides by itself when a job becomes ready. Where a job stands, ready or in
which line, is followed from what is found; a judge says whether it may."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from effects import Limited, Ordered
from found import Found
from reference import Reference
from shares import Shares
from turns import IN_LINE
from turnstiles import ON_ITS_WAY, Gates


class Judge(Protocol):
    def come_anew(self, job: int) -> None:
        """It stands nowhere yet, and has no turn."""

    def follow(self, job: int, found: Found) -> str:
        """Where it stands now: in line, or ready."""

    def lines(self) -> dict[str, list[int]]: ...
    def check_order(self, lines: Mapping[str, list[int]]) -> None: ...
    def check(self, found: Found, *, quiet: bool) -> None: ...


class Followed(Reference):
    judge: Judge

    def lines(self) -> dict[str, list[int]]:
        return self.judge.lines()

    def _stand(
        self, job: int, state: str, attempt: int, waits: dict[int, bool] | None = None
    ) -> None:
        # Blocked is who stands in line.
        super()._stand(job, "ready" if state == "blocked" else state, attempt, waits)
        self.judge.come_anew(job)

    def _follow(self, found: Found) -> None:
        for job, (kind, _, _, attempt) in self.places.items():
            places = found.places.get(job, [])
            if kind in ("ready", IN_LINE) and len(places) == 1 and places[0][0] in ON_ITS_WAY:
                self.places[job] = (self.judge.follow(job, found), 0, 0, attempt)

    def _let_in(self, found: Found) -> None:
        self._follow(found)


class Limits(Followed):
    def __init__(self) -> None:
        super().__init__()
        self.gates = self.judge = Gates(self.requests, self.places)

    def apply(self, effects: Iterable[object], found: Found) -> None:
        effects = list(effects)
        for effect in effects:
            if isinstance(effect, Limited):
                self.gates.set_limit(effect)
        super().apply(effects, found)

    def _stands_anew(self, job: int) -> bool:
        return True

    def check_pulled(self, jobs: list[int], queues: list[str], n: int) -> None:
        """Those that were ready come by priority, then age; those of the task alone after them."""
        ready = [j for j in jobs if self.kind(j) == "ready"]
        is_sorted = ready == sorted(ready, key=self.gates.order)
        assert is_sorted or self.gates.is_per_host(), f"{ready} were pulled, in this order"


class Fair(Followed):
    def __init__(self) -> None:
        super().__init__()
        self.shares = self.judge = Shares(self.requests, self.places)

    def apply(self, effects: Iterable[object], found: Found) -> None:
        effects = list(effects)
        for effect in effects:
            if isinstance(effect, Ordered):
                self.shares.set_order(effect)
        super().apply(effects, found)

    def check_pulled(self, jobs: list[int], queues: list[str], n: int) -> None:
        self.shares.check_pulled(jobs, self.asked)
