"""What running jobs have said of themselves, until a turn takes it.

Of progress and checkpoints the latest of each job counts; lines add up. A note goes no later than
the end of its job: nothing is accepted of a job that has left its claim.
"""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count

import msgspec

from ..sql.notes import Note
from ..sql.settlement import Entry
from ..subworkers import wire
from ..subworkers.board import SYNC_PLACE, Running
from ..subworkers.call import LEAST_SHARE
from ..subworkers.lines import as_line
from ..subworkers.output import free, read
from .member import Member

#: Seconds between two looks at what a job says of its progress.
NOTE_SECONDS = 0.25
#: Bytes of what C code has written before its process died that are kept.
LAST_BYTES = 16 * 1024
#: Bytes that it may have written and that no line of the job has followed yet.
MOST_WAITING = 16 << 20


class Notes:
    def __init__(self) -> None:
        #: By claim and job; what comes is added.
        self._open: dict[tuple[int, int], Note] = {}
        #: Those of a turn that may have been committed: they stay as they were sent.
        self._sent: list[Note] = []
        self._pieces = count(1)
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._open or self._sent)

    def look(self, member: Member, running: Sequence[Running], *, last: bool = False) -> bool:
        """Read the slate of a subworker that runs these. True if there was anything new."""
        now, found = time.monotonic(), False
        for place in running:
            if not place.notes:
                continue
            seen, at = member.noted.get(place.place, (0, 0.0))
            if place.notes == seen or (now - at < NOTE_SECONDS and not last):
                continue
            note = member.memory.slate.read(place.place, place.notes)
            if note is None:
                continue
            member.noted[place.place] = place.notes, now
            try:
                report = wire.decode_report(note)
            except msgspec.DecodeError:
                continue
            if isinstance(report, wire.Note):
                found |= self.take(member, report)
        return found

    def take(self, member: Member, report: wire.Note | wire.Logged) -> bool:
        """Take in what a subworker says of a job that it has. True if it has it."""
        if not member.holds(report.claim, report.job):
            return False
        pair = report.claim, report.job
        note = self._open.get(pair)
        if note is None:
            note = self._open[pair] = Note(report.claim, report.job, report.attempt)
        self.bytes -= note.size
        if isinstance(report, wire.Logged):
            note.lines.append(report.line)
            note.size += len(report.line)
        else:
            note.say(report.fraction, report.message, report.checkpoint)
        self.bytes += note.size
        return True

    def trim_output(self, member: Member, running: Sequence[Running]) -> None:
        """Free the memory of what C code has written by the tens of megabytes, in a long job."""
        now = time.monotonic()
        if any(place.place == SYNC_PLACE and now - place.started > 1 for place in running):
            for fd in (member.memory.fds.stdout, member.memory.fds.stderr):
                if 512 * os.fstat(fd).st_blocks > MOST_WAITING:
                    free(fd, os.lseek(fd, 0, os.SEEK_CUR))

    def take_output(self, member: Member, tasks: Mapping[str, wire.TaskInfo]) -> None:
        """What C code had written before its process died is the output of the job that ran, or of
        each of those that ran in one call."""
        board, fds = member.memory.board, member.memory.fds
        jobs = [place.job for place in member.running() if place.place == SYNC_PLACE]
        rows = [row for job in jobs if (row := member.held.get(job))]
        for number, name, fd in ((0, "stdout", fds.stdout), (1, "stderr", fds.stderr)):
            end = os.lseek(fd, 0, os.SEEK_CUR)
            if end == board.output_taken(number):
                continue
            data = read(fd, max(board.output_taken(number), end - LAST_BYTES), end)
            with suppress(OSError):  # nobody may be there any more to see it
                os.write(1 + number, data)
            if not rows or not (task := tasks.get(rows[0][3])) or not task.is_captured:
                continue
            data = data[-max(LEAST_SHARE, LAST_BYTES // len(rows)) :]
            for text in data.decode("utf-8", "backslashreplace").splitlines():
                for row in rows:
                    self.take(member, wire.Logged(*row[:3], as_line(name, None, text)))

    def cut(self, most: int) -> list[Note]:
        """What the next turn takes: about `most` bytes, the oldest first, and something."""
        notes, self._sent = self._sent, []
        size = sum(note.size for note in notes)
        while self._open and (size < most or not notes):
            pair = next(iter(self._open))
            note = self._open.pop(pair)
            note.piece = next(self._pieces)
            notes.append(note)
            size += note.size
        self.bytes -= size
        return notes

    def keep(self, notes: Sequence[Note]) -> None:
        """Take back what may not have been committed: to be sent again as it was."""
        self._sent[:0] = notes
        self.bytes += sum(note.size for note in notes)

    def allow(self, entries: Sequence[Entry]) -> int:
        """How many of these ends may go now: none before the notes of its job."""
        for n, entry in enumerate(entries):
            if (entry.claim, entry.job) in self._open:
                return n
        return len(entries)

    def clear(self) -> None:
        self._open.clear()
        self._sent.clear()
        self.bytes = 0
