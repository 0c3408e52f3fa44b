"""What a peer's adapter imports: the only part of the harness that runs inside its venv.

Nothing here needs more than the standard library, so that no peer's packages meet the harness's.
"""

from .environment import DSN, FOLDER, PORT, REDIS, SETTINGS
from .peer import Args, Counts, Peer, Unsupported
from .program import run
from .tasks import BODIES, Task, as_async

__all__ = [
    "BODIES", "DSN", "FOLDER", "PORT", "REDIS", "SETTINGS", "Args", "Counts", "Peer", "Task",
    "Unsupported", "as_async", "run",
]  # fmt: skip
