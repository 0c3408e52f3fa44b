"""What has come out, read from the database by plain SQL: results are rows like others."""

from importlib.resources import files
from itertools import groupby
from pathlib import PurePath
from typing import Any, Final

from psycopg import Connection
from rich.console import Console
from rich.table import Table

#: Failures of each type that are shown in full.
EXAMPLES: Final = 3
#: Characters of the longest bar.
BAR: Final = 30

Rows = list[tuple[Any, ...]]


def query(connection: Connection[Any], name: str) -> Rows:
    """The rows of the statement in `<name>.sql`."""
    return connection.execute((files("wsup.demo") / f"{name}.sql").read_bytes()).fetchall()


def report(console: Console, connection: Connection[Any]) -> None:
    """Print the summary."""
    _totals(console, query(connection, "totals")[0])
    _hardest(console, query(connection, "hardest"))
    _spread(console, query(connection, "spread"))
    _failures(console, query(connection, "failures"))


def _totals(console: Console, row: tuple[Any, ...]) -> None:
    jobs, seconds, lines, comments, classes, functions = row
    console.print()
    console.print(
        f"{jobs:,} jobs in {seconds:.1f} s: {jobs / seconds:,.0f} jobs/s, "
        "from the first enqueued to the last committed",
        style="bold",
    )
    console.print(
        f"{lines:,} lines, {comments / max(lines, 1):.1%} of them with a comment; "
        f"{functions:,} functions, {classes:,} classes"
    )


def _hardest(console: Console, rows: Rows) -> None:
    table = _table(console, "The most complex functions (McCabe 1976)")
    table.add_column("complexity", justify="right")
    for column in ("module", "function", "line"):
        table.add_column(column, justify="right" if column == "line" else "left")
    for complexity, file, function, line in rows:
        table.add_row(str(complexity), _module(file), function, str(line))
    console.print(table)


def _spread(console: Console, rows: Rows) -> None:
    table = _table(console, "How the work was spread over the subworkers")
    for column in ("subworker", "jobs", "busy"):
        table.add_column(column, justify="right")
    table.add_column()
    most = max((jobs for _, jobs, _ in rows), default=1)
    for subworker, jobs, seconds in rows:
        bar = "#" * round(jobs / most * BAR)
        table.add_row(str(subworker), f"{jobs:,}", f"{seconds:.1f} s", bar)
    console.print(table)


def _failures(console: Console, rows: Rows) -> None:
    console.print()
    if not rows:
        console.print("No job failed")
        return
    console.print(f"{len(rows)} jobs failed, each with its reason", style="bold")
    for (kind, count), group in groupby(rows, key=lambda row: row[:2]):
        console.print(f"  {kind}: {count}")
        for *_, file, message in list(group)[:EXAMPLES]:
            console.print(f"    {file}: {' '.join(message.split())}", soft_wrap=True)


def _table(console: Console, title: str) -> Table:
    console.print()
    console.print(title, style="bold")
    return Table(box=None, padding=(0, 2, 0, 0), header_style="dim")


def _module(file: str) -> str:
    parts = PurePath(file).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
