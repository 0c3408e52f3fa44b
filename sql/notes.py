"""What running jobs say of themselves, as the columns that `wsup.take_notes` takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .arrays import PackedArray, bigints, integers, reals, smallints, texts
from .bounds import Attempt, Bigint, Count, Real


@dataclass(slots=True)
class Note:
    """What is new of one job: how far it is, what a later attempt is to know, what it logs."""

    claim: Bigint
    job: Bigint
    attempt: Attempt
    #: Counts up in its supervisor: sent again after a lost reply, it is known by this number.
    piece: Bigint = 0
    #: From 0 to 1; None: nothing new.
    fraction: Real | None = None
    message: str = ""
    #: JSON; None: nothing new.
    checkpoint: bytes | None = None
    #: JSON each: time, source, level, text.
    lines: list[bytes] = field(default_factory=list)
    #: Bytes that it brings with it.
    size: Count = 0

    def say(self, fraction: float | None, message: str, checkpoint: bytes | None) -> None:
        """The latest of each counts."""
        if fraction is not None:
            self.fraction, self.message = fraction, message
        if checkpoint is not None:
            self.checkpoint = checkpoint
        self.size = len(self.message) + len(self.checkpoint or b"") + sum(map(len, self.lines))


def note_columns(
    supervisor: int, notes: Sequence[Note], holders: Mapping[int, int] | None = None
) -> list[int | PackedArray]:
    """The parameters of `wsup.take_notes`, in its order; the last one only with `holders`: whose
    each claim is."""
    return [
        supervisor,
        bigints([note.claim for note in notes]),
        bigints([note.job for note in notes]),
        smallints([note.attempt for note in notes]),
        bigints([note.piece for note in notes]),
        reals([note.fraction for note in notes]),
        texts([note.message for note in notes]),
        texts([note.checkpoint for note in notes]),
        texts([b"[" + b",".join(note.lines) + b"]" if note.lines else None for note in notes]),
        *([] if holders is None else [integers([holders[note.claim] for note in notes])]),
    ]
