"""Plain text for people: aligned tables, spans of time, and nothing that moves the cursor."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import click

MINUTE, HOUR, DAY = 60, 3600, 86_400


def printable(value: object) -> str:
    """`value` as one line; names and messages come from users and may hold terminal codes."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.3g}"
    text = str(value)
    return text if text.isprintable() else "".join(map(_visible, text))


def printable_lines(text: str) -> str:
    """`text` of several lines, such as a traceback, made harmless."""
    return "\n".join(printable(line.expandtabs()) for line in text.splitlines())


def _visible(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def table(head: Sequence[str], rows: Iterable[Sequence[object]], right: str = "") -> str:
    """Aligned columns; those whose names `right` lists, parted by spaces, to the right."""
    cells = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = set(right.split())
    lines = []
    for row in cells:
        parts = [
            cell.rjust(width) if name in numeric else cell.ljust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def span(seconds: float | None) -> str:
    """A span of time, to what matters: "0.12 ms", "12.3 s", "5 min 3 s", "2 d 4 h"."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def say(line: str) -> None:
    """A remark for the operator, beside the output proper: on stderr."""
    click.echo(f"wsup: {line}", err=True)
