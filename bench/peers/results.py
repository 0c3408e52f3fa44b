"""The raw results: a JSON object a line, the first about the run, then one a measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import BenchError

if TYPE_CHECKING:
    from pathlib import Path


class About(msgspec.Struct, frozen=True, tag="about", tag_field="line"):
    """The run as a whole."""

    command: str
    #: In UTC.
    date: str
    #: Name and value.
    machine: list[tuple[str, str]]
    #: The systems that could be installed: all of their packages.
    installed: dict[str, dict[str, str]]
    #: The others: the reason.
    missing: dict[str, str]
    #: Of the machine; 0: not told.
    cores: int = 0


class Measured(msgspec.Struct, frozen=True, tag="measured", tag_field="line"):
    """One system, once."""

    workload: str
    round: int
    system: str
    version: str
    keeps_results: bool
    isolates: bool
    jobs: int
    settings: dict[str, Any]
    source: str
    why: str
    figures: dict[str, float]
    #: Percent of the machine's CPU that others used meanwhile.
    others: float
    #: Why there are no figures.
    error: str | None = None
    language: str = "python"
    #: Is it no system, but something to measure the systems by?
    yardstick: bool = False
    #: Do its jobs outlive a crash of the server, as it is set up here?
    durable: bool = True
    #: That it took, with all that was prepared and checked.
    seconds: float = 0.0
    #: What a figure was in one window after the other, or with one more of something.
    series: dict[str, list[float]] = {}


class Results(msgspec.Struct, frozen=True):
    """A whole file."""

    about: About
    measured: list[Measured]


def append(file: Path, line: About | Measured) -> None:
    with file.open("ab") as lines:
        lines.write(msgspec.json.encode(line) + b"\n")


def read(file: Path) -> Results:
    """Raises BenchError for what is no such file."""
    try:
        about, *measured = (
            msgspec.json.decode(line, type=About | Measured)
            for line in file.read_bytes().splitlines()
        )
    except (OSError, ValueError) as error:
        raise BenchError(f"{file}: {error}") from None
    assert isinstance(about, About)
    return Results(about, [line for line in measured if isinstance(line, Measured)])
