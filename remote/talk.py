"""A turn as a request; one that is too large for that goes as several.

What is too large even by itself is replaced by a word about it: sent again and again, it would be
refused each time.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..sql.answers import Pull, SourceLost, Turn
from ..sql.notes import Note
from ..sql.settlement import Back, Entry, Failure, Over, size
from .protocol import TurnReply, TurnRequest, encode

Rooms = list[tuple[str, int]]

log = logging.getLogger("wsup.remote")

#: What is left of a long text.
KEPT_CHARACTERS = 1000
#: Whatever has fewer is not to blame that a request is too large.
SMALL_CHARACTERS = 4 * KEPT_CHARACTERS


class TooLarge(SourceLost):
    """The request is larger than the server takes."""


class Said(NamedTuple):
    """What a turn has to say."""

    entries: Sequence[Entry] = ()
    notes: Sequence[Note] = ()

    def halves(self) -> "tuple[Said, Said]":
        """Notes first: of a job that is over, nothing more is accepted."""
        entries, notes = self
        if entries and notes:
            return Said(notes=notes), Said(entries)
        n, m = len(entries) // 2, len(notes) // 2
        return Said(entries[:n], notes[:m]), Said(entries[n:], notes[m:])

    def without(self, claims: Sequence[int]) -> "Said":
        """Without what is about these claims."""
        if not claims:
            return self
        return Said(
            [entry for entry in self.entries if entry.claim not in claims],
            [note for note in self.notes if note.claim not in claims],
        )


class Talk:
    """Says a turn in one request, or as many as it takes. `ask` sends one; it raises SourceLost."""

    def __init__(self, ask: Callable[[str, object, Any], Awaitable[Any]]) -> None:
        self._ask = ask
        #: What the server takes in one.
        self.most_bytes = 0

    async def say(self, supervisor: int, said: Said, pull: Pull | None, rooms: Rooms) -> Turn:
        body = encode(_request(supervisor, said, pull, rooms))
        if len(body) <= self.most_bytes:
            try:
                return _turn(await self._ask("turn", body, TurnReply), said)
            except TooLarge:  # what stands before the server may take less than it does
                self.most_bytes = len(body) - 1
        if len(said.entries) + len(said.notes) <= 1:
            cut = _cut_down(said, len(body), self.most_bytes)
            turn = await self.say(supervisor, cut, pull, rooms)
            turn.culprits += said.entries
            return turn
        first, last = said.halves()
        turn = await self.say(supervisor, first, None, [])
        locked = [note.claim for note in turn.deferred_notes]
        turn.deferred += [entry for entry in last.entries if entry.claim in locked]
        return _joined(turn, await self.say(supervisor, last.without(locked), pull, rooms))


def _request(supervisor: int, said: Said, pull: Pull | None, rooms: Rooms) -> TurnRequest:
    entries = said.entries
    over = [entry for entry in entries if isinstance(entry, Over)]
    back: list[Back] = []
    failed: list[Failure] = []
    if len(over) < len(entries):
        back = [entry for entry in entries if isinstance(entry, Back)]
        failed = [entry for entry in entries if isinstance(entry, Failure)]
    queues, most = (list(pull.queues), pull.most) if pull else ([], 0)
    return TurnRequest(supervisor, over, back, failed, list(said.notes), queues, most, 0, rooms)


def _turn(reply: TurnReply, said: Said) -> Turn:
    turn = Turn(reply.rows, refused=reply.refused)
    if reply.deferred:
        turn.deferred = [entry for entry in said.entries if entry.claim in reply.deferred]
    if reply.deferred_notes:
        turn.deferred_notes = [note for note in said.notes if note.claim in reply.deferred_notes]
    if reply.culprits:
        culprits = set(reply.culprits)
        turn.culprits = [entry for entry in said.entries if (entry.claim, entry.job) in culprits]
    return turn


def _cut_down(said: Said, length: int, most: int) -> Said:
    """What goes in place of the only thing that is said. Raises TooLarge if that is small."""
    for note in said.notes:
        if note.size <= SMALL_CHARACTERS:
            break
        log.error(
            "job %d: what it has noted is left out: %s bytes, and the server takes %s in a request",
            note.job, f"{length:,}", f"{most:,}",
        )  # fmt: skip
        message = note.message[:KEPT_CHARACTERS]
        return Said(
            notes=[replace(note, message=message, checkpoint=None, lines=[], size=len(message))]
        )
    for entry in said.entries:
        if size(entry) <= SMALL_CHARACTERS:
            break
        return Said([_cut(entry, most)])
    raise TooLarge(f"the server takes requests of {most:,} bytes only: have it take more")


def _cut(entry: Entry, most: int) -> Entry:
    if isinstance(entry, Failure):
        text = entry.traceback
        return entry._replace(
            message=entry.message[:KEPT_CHARACTERS],
            traceback=text and text[-KEPT_CHARACTERS:],
        )
    if not isinstance(entry, Over):
        return entry
    message = (
        f"the result has {len(entry.result or b''):,} bytes, and the server takes {most:,} in a "
        "request: store it elsewhere, and return where it is"
    )
    return Failure(
        entry.claim, entry.job, entry.attempt, entry.subworker, "ResultTooLarge", message, None,
        entry.seconds, None,
    )  # fmt: skip


def _joined(first: Turn, last: Turn) -> Turn:
    """Both as one; only the last one has pulled."""
    last.refused += first.refused
    last.deferred = first.deferred + last.deferred
    last.deferred_notes = first.deferred_notes + last.deferred_notes
    last.culprits = first.culprits + last.culprits
    return last
