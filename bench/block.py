"""Blocks of docs/reliability.md that commands write: a table, a verdict, where it was measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"

#: Name and value, line by line.
Rows = list[tuple[str, str]]


def markdown(figures: Rows, verdict: str, machine: Iterable[tuple[str, str]], command: str) -> str:
    about = [
        *machine,
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("command", f"`{command}`"),
    ]
    return (
        f"| what | figure |\n| --- | ---: |\n{_lines(figures)}\n\n{verdict}\n\n"
        f"| measured on | |\n| --- | --- |\n{_lines(about)}"
    )


def write(name: str, text: str, page: Path = PAGE) -> None:
    """Put it where the last one of that name stands. Raises ValueError if there is no place."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found_begin, rest = page.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"{page}: no place between {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def _lines(rows: Rows) -> str:
    return "\n".join(f"| {name} | {value} |" for name, value in rows)
