"""Enqueueing alone, no worker running: one by one, in a caller's transaction, and in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .drain import settle_disk
from .errors import JobsWrong, Unsupported
from .meter import value
from .verify import verify_waiting

if TYPE_CHECKING:
    from .stage import Stage

#: Of all jobs this part is enqueued one by one, and as many in transactions.
SHARE = 50


def measure(stage: Stage, task: str) -> dict[str, float]:
    """Jobs a second; `transaction` only where there is such a thing."""
    few = stage.jobs // SHARE
    found: dict[str, float] = {}
    settle_disk(stage)
    found["single"] = few / stage.client.ask("single", task=task, first=0, count=few)
    done = few
    try:
        found["transaction"] = few / stage.client.ask(
            "transactions", task=task, first=done, count=few
        )
    except Unsupported:
        more = few  # so that the sum is right
        stage.client.ask("fill", task=task, first=done, count=more)
    else:
        if (own := value(stage.connection, "count_own")) != few:
            raise JobsWrong(f"{few:,} transactions have left {own:,} rows of the caller's")
    done += few
    bulk = stage.jobs - done
    found["bulk"] = bulk / stage.client.ask("fill", task=task, first=done, count=bulk)
    verify_waiting(stage, task)
    return found
