"""Who asks: what a token says."""

import math
from dataclasses import dataclass

#: The part of a token's life that is left when it is renewed.
RENEW_SHARE = 1 / 3


@dataclass(frozen=True)
class Agent:
    name: str
    #: None: all of them.
    queues: frozenset[str] | None = None
    #: "run", "schedule".
    verbs: frozenset[str] = frozenset({"run", "schedule"})
    #: The number of its token; seconds since 1970 until when it is good; for how many seconds it
    #: was when it was issued.
    token: str = ""
    expires_at: float = math.inf
    lifetime: float = math.inf

    def is_due(self, now: float) -> bool:
        """Is its token to be renewed?"""
        return self.expires_at - now < RENEW_SHARE * self.lifetime

    def may_pull(self, queues: list[str]) -> list[str]:
        """Those of `queues` that its token doesn't allow."""
        return [] if self.queues is None else sorted(set(queues) - self.queues)
