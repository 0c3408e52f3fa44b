"""The result of a task as JSON, within bounds."""

from typing import Any

from .contract import RunnableTask

#: Bytes of the largest result; a larger one would cost the supervisor and the database too much
#: memory at once, and PostgreSQL takes nothing above 1 GiB.
LARGEST_RESULT = 256 << 20


class ResultTooLarge(Exception):
    """The result is larger than can be stored."""


def encode_result(task: RunnableTask, result: Any, share: int = 1) -> bytes | None:
    """A result as JSON; so many of them share what is allowed. Raises ResultTooLarge."""
    most = LARGEST_RESULT // share
    encoded = task.encode(result)
    if encoded is not None and len(encoded) > most:
        raise ResultTooLarge(
            f"the result takes {len(encoded):,} bytes of JSON, the limit is {most:,}; "
            "store it elsewhere and return its key"
        )
    return encoded
