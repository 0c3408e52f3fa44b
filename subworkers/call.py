"""What the jobs of a batch task's call have in common: they say together what it writes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .context import CurrentJob
    from .lines import Lines

#: Bytes of what a call has written that are kept with each of its jobs, however many they are.
LEAST_SHARE = 4096


class CurrentCall:
    """The jobs that a batch task is called with."""

    __slots__ = ("jobs", "notes", "task")

    def __init__(self, task: str, jobs: "Sequence[CurrentJob]") -> None:
        self.task = task
        self.jobs = jobs
        self.notes = CallNotes(jobs)

    def begin_notes(self) -> "CallNotes":
        return self.notes

    def share(self, most: int) -> int:
        """How much is kept with each job, of an attempt of which `most` bytes are kept."""
        return min(most, max(LEAST_SHARE, most // len(self.jobs)))


class CallNotes:
    """The notes of all of them: nobody can tell for which of them a line was written."""

    __slots__ = ("_jobs", "is_open", "lines")

    def __init__(self, jobs: "Sequence[CurrentJob]") -> None:
        self._jobs = jobs
        #: Is the call still running?
        self.is_open = True
        #: What it writes, if that is captured.
        self.lines: Lines | None = None

    def log(self, line: bytes) -> None:
        """Send a line, as `wire.Logged` has it, of each job."""
        for job in self._jobs:
            (job.notes or job.begin_notes()).log(line)

    def close(self) -> None:
        """The call is over."""
        if self.lines is not None:
            self.lines.end()
        for job in self._jobs:
            if job.notes is not None:
                job.notes.close()
        self.is_open = False
