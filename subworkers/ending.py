"""How a job is ended by its own task, in a transaction of the task's: what this process must know.

The transaction itself is the app's matter (`contract.Finisher`); no SQL is known here.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Any

from . import wire

log = logging.getLogger("wsup.subworker")


class Stage(Enum):
    OPEN = "open"
    #: COMMIT was sent, and nothing was heard.
    IN_DOUBT = "in doubt"
    COMMITTED = "committed"


class Ending:
    """The end of one job, as far as its task has brought it."""

    def __init__(
        self,
        claim: int,
        job: int,
        subworker: int,
        started: float,
        encode: Callable[[Any], bytes | None],
        undisturbed: Callable[[], AbstractContextManager[None]],
        doubt: Callable[[bool], None],
    ) -> None:
        self.claim = claim
        self.job = job
        self.subworker = subworker
        #: On the clock of `time.monotonic()`, in seconds.
        self.started = started
        self.stage = Stage.OPEN
        #: What the job's result is to be.
        self.result: Any = None
        self._encode = encode
        self._undisturbed = undisturbed
        self._doubt = doubt

    def encoded(self) -> bytes | None:
        """The result as JSON. Raises `wsup.ResultError`, or another error that tells why not."""
        return self._encode(self.result)

    @contextmanager
    def committing(self) -> Iterator[None]:
        """While the COMMIT is under way: nobody interrupts the task; its death tells nothing."""
        self.stage = Stage.IN_DOUBT
        self._doubt(True)
        with self._undisturbed():
            yield
            self.stage = Stage.COMMITTED

    @property
    def over(self) -> bool:
        """Whether the job has ended by it: what the task does now changes nothing any more."""
        return self.stage is Stage.COMMITTED

    def report(self, last: object, seconds: float) -> wire.Settled:
        """Of a job that is over, and whose task has then returned or raised `last`."""
        if isinstance(last, BaseException):
            log.warning("job %d was over when its task raised %r", self.job, last)
        elif last is not None and last != self.result:
            log.warning(
                "job %d was over when its task returned something; its result is what "
                "set_result() was given",
                self.job,
            )
        return wire.Settled(self.job, seconds)

    def undone(self) -> None:
        """The database has said that the COMMIT has failed: as if it hadn't been tried."""
        self.stage = Stage.OPEN
        self._doubt(False)
