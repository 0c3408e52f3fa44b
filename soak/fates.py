"""What becomes of a transaction, as its writer knows it."""

from enum import IntEnum


class Fate(IntEnum):
    NEVER = 0
    COMMITTED = 1
    ROLLED_BACK = 2
    #: The server went away before it answered COMMIT.
    UNKNOWN = 3
