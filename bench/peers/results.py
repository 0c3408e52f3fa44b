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


class Run(msgspec.Struct, frozen=True):
    """One call of the command."""

    about: About
    measured: list[Measured]


class Results(msgspec.Struct, frozen=True):
    """A whole file: runs, the latest last, of which each measured workloads of its own."""

    runs: list[Run]

    @property
    def about(self) -> About:
        """The latest run."""
        return self.runs[-1].about

    @property
    def measured(self) -> list[Measured]:
        return [measured for run in self.runs for measured in run.measured]


def append(file: Path, line: About | Measured) -> None:
    with file.open("ab") as lines:
        lines.write(msgspec.json.encode(line) + b"\n")


def read(file: Path) -> Results:
    """Raises BenchError for what is no such file."""
    runs: list[Run] = []
    try:
        for line in file.read_bytes().splitlines():
            decoded = msgspec.json.decode(line, type=About | Measured)
            if isinstance(decoded, About):
                runs.append(Run(decoded, []))
            else:
                runs[-1].measured.append(decoded)
    except (OSError, ValueError, IndexError) as error:
        raise BenchError(f"{file}: {error}") from None
    if not runs:
        raise BenchError(f"{file}: there is no run in it")
    return Results(runs)


def joined(earlier: Results, latest: Results) -> Results:
    """What was measured anew takes the place of what was measured before, by whole workloads."""
    anew = {measured.workload for measured in latest.measured}
    kept = [
        Run(run.about, [measured for measured in run.measured if measured.workload not in anew])
        for run in earlier.runs
    ]
    return Results([*(run for run in kept if run.measured), *latest.runs])


def write(file: Path, results: Results) -> None:
    file.unlink(missing_ok=True)
    for run in results.runs:
        append(file, run.about)
        for measured in run.measured:
            append(file, measured)
