"""The first look at where jobs come from: patient, for it may just be starting, too."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger("wsup")

#: Seconds between two tries: doubling from first to last.
PAUSE_FIRST, PAUSE_LAST = 0.5, 5.0


def look_patiently(look: Callable[[], None], tries: int, passing: type[Exception]) -> None:
    """Look until there is no error that may pass; a line a try. Raises the last one."""
    pause = PAUSE_FIRST
    for attempt in range(1, tries + 1):
        try:
            look()
            return
        except passing as error:
            if attempt == tries:
                raise
            log.warning("try %d of %d: %s; again in %.1f s", attempt, tries, error, pause)
        time.sleep(pause)
        pause = min(2 * pause, PAUSE_LAST)
