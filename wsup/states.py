"""Where a job can stand, as `wsup.status` names it."""

from typing import Final

UNSTARTED: Final = ("ready", "waiting", "blocked")
UNFINISHED: Final = (*UNSTARTED, "running")
FINISHED: Final = ("succeeded", "failed", "cancelled", "expired")
STATES: Final = (*UNFINISHED, *FINISHED)
#: Those that can be run again.
UNSUCCESSFUL: Final = FINISHED[1:]
