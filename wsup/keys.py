"""Keys: how many of the jobs that share one may run at once."""

from wsup.errors import TaskError
from wsup.options import RULES
from wsup.sql.steps import Ask, Steps


def set_key_limit(key: str, key_limit: int | None) -> Steps[None]:
    """Set the limit of a key, or (None) leave it to its jobs. Raises TaskError."""
    given = {"key": key} if key_limit is None else {"key": key, "key_limit": key_limit}
    for name, value in given.items():
        fits, need = RULES[name]
        if not fits(value):
            raise TaskError(f"key {key!r}: {name}={value!r} won't do: give {need}")
    yield Ask("key_limit", (key, key_limit), repeatable=True)
