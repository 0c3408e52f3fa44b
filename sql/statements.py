"""The statements of `queries/`, one to a file, loaded once and kept as bytes."""

from functools import cache
from importlib.resources import files

QUERIES = files(__package__) / "queries"


@cache
def statement(name: str) -> bytes:
    """The text of `queries/<name>.sql`, ready for `cursor.execute`.

    Raises FileNotFoundError for a name that isn't there.
    """
    return (QUERIES / f"{name}.sql").read_bytes()
