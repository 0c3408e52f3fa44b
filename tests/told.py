"""Turns without a supervisor around them."""

from wsup.sql.answers import Row
from wsup.sql.settlement import Entry
from wsup.supervisor.gather import Gather
from wsup.supervisor.source import Source
from wsup.supervisor.turn import Turns


class Told:
    """Turns with a source of their own, and what they have told the others."""

    def __init__(self, source: Source, *, batch: int = 500, batch_bytes: int = 1 << 20):
        self.rows: list[Row] = []
        self.lost: list[str] = []
        self.wanted = 0
        #: How many of the jobs held may end soon.
        self.ending = 1000
        self.gather = Gather(
            on_finished=lambda: None,
            on_ready=lambda _: None,
            on_unfit=lambda *_: None,
            on_returned=lambda _: None,
            on_untrusted=lambda *_: None,
        )
        self.turns = Turns(
            source,
            self.gather,
            batch=batch,
            batch_bytes=batch_bytes,
            wanted=lambda: self.wanted,
            starving=lambda: False,
            held=lambda: 1000,
            ending=lambda: self.ending,
            in_doubt=lambda: False,
            on_rows=self.rows.extend,
            on_settled=lambda *_: None,
            on_dry=lambda: None,
            asleep=lambda: False,
            on_passed=lambda: None,
            on_due=lambda _: None,
            on_lost=self.lost.append,
        )
        self.turns.queues = ("default",)

    def finish(self, entries: list[Entry], size: int = 0) -> None:
        """Have these wait for the next turn; each brings `size` bytes."""
        self.gather.finished += entries
        self.gather.finished_bytes += size * len(entries)
