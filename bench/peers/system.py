"""A system as its folder describes it: `systems/<name>/system.toml`, beside its adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from ..errors import BenchError

SYSTEMS = Path(__file__).with_name("systems")
#: The table of settings that hold for every workload that has none of its own.
DEFAULT = "default"


class Settings(msgspec.Struct, frozen=True):
    """How a system is run for a workload. What else stands in the table goes to the adapter."""

    #: The page that says so.
    source: str
    why: str
    #: How many times `peer.py work` is started.
    processes: int
    #: What the adapter gets, `processes` included.
    options: dict[str, Any]


class System(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What system.toml says."""

    name: str
    #: What pip or npm is to install, in its latest release; "." is this working tree. The first one
    #: is the one whose version is told.
    packages: tuple[str, ...]
    #: A commit of this repository, which "." is then.
    revision: str = ""
    #: The system whose adapter it shares.
    adapter: str = ""
    language: Literal["python", "node"] = "python"
    #: Does it want the harness's Redis, too?
    redis: bool = False
    keeps_results: bool
    #: Does a job run in a process other than the one that talks to the database?
    isolates: bool
    #: Is it no system, but something to measure the systems by?
    yardstick: bool = False
    #: The workloads that it takes part in; none: in all.
    only: tuple[str, ...] = ()
    #: Times that it is measured, where the command line doesn't say.
    rounds: int = 3
    #: Fewer jobs than the workload asks for.
    jobs: dict[str, int] = {}
    #: Workloads that it has no means for, and why.
    without: dict[str, str] = {}
    settings: dict[str, dict[str, Any]]
    #: A part of the text of the statement by which it pulls, so that it can be timed.
    pull: str = ""
    #: Where the adapter lies.
    folder: Path = Path()

    def settings_for(self, workload: str) -> Settings:
        """The default ones, changed by those of the workload."""
        options = self.settings[DEFAULT] | self.settings.get(workload, {})
        source, why = options.pop("source"), options.pop("why", "")
        return Settings(source, why, options.setdefault("processes", 1), options)

    def takes_part(self, workload: str) -> bool:
        return not self.only or workload in self.only

    @property
    def program(self) -> Path:
        """The adapter."""
        folder = self.folder.parent / self.adapter if self.adapter else self.folder
        return folder / ("peer.py" if self.language == "python" else "peer.mjs")


def load(folder: Path) -> System:
    """Read and check one. Raises BenchError naming the file."""
    file = folder / "system.toml"
    try:
        system = msgspec.toml.decode(file.read_bytes(), type=System)
    except (msgspec.DecodeError, OSError) as error:
        raise BenchError(f"{file}: {error}") from None
    system = msgspec.structs.replace(system, folder=folder)
    for table, options in system.settings.items():
        if "source" not in options:
            raise BenchError(f"{file}: settings.{table} has no source: name the page it is from")
    if DEFAULT not in system.settings or system.name != folder.name:
        raise BenchError(f"{file}: needs settings.{DEFAULT}, and the name {folder.name!r}")
    if not system.program.exists():
        raise BenchError(f"{system.program} is missing: write the adapter")
    return system


def load_all(names: list[str] | None, root: Path = SYSTEMS) -> list[System]:
    """The systems of these names, in this order; all of them, wsup first, if there are no names."""
    found = sorted(path.parent.name for path in root.glob("*/system.toml"))
    wanted = names or sorted(found, key=lambda name: (name != "wsup", name))
    if unknown := set(wanted) - set(found):
        raise BenchError(f"no system {', '.join(sorted(unknown))}: there are {', '.join(found)}")
    return [load(root / name) for name in wanted]
