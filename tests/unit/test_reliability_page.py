"""docs/reliability.md names a test for each promise: they must be there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
#: `crash/test_x.py`, `crash/test_x.py::test_beginning`, or `::test_beginning` of the file before.
NAMED = re.compile(
    r"`((?:crash|database|http|features/\w+|model|unit)/test_\w+\.py)?(?:::(test_\w+))?`"
)


def named(line: str) -> list[tuple[str, str]]:
    """The files and beginnings of names in a row of a table."""
    found: list[tuple[str, str]] = []
    for file, name in NAMED.findall(line):
        if file or name:
            found.append((file or found[-1][0], name))
    return found


REFERENCES = sorted({each for line in PAGE.splitlines() for each in named(line)})


def test_they_are_found() -> None:
    assert len(REFERENCES) > 80


@pytest.mark.parametrize(("file", "name"), REFERENCES)
def test_it_is_there(file: str, name: str) -> None:
    text = (ROOT / "tests" / file).read_text()
    assert re.search(rf"^def {name or 'test_'}", text, re.MULTILINE)
