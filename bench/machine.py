"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def described(postgresql: str, data: Path) -> list[tuple[str, str]]:
    """Name and value, line by line."""
    return [
        ("CPU", f"{len(os.sched_getaffinity(0))} cores, {_cpu_model()}"),
        ("memory", f"{_memory_kib() / 1024 / 1024:.1f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("PostgreSQL", f"{postgresql}, default settings, data on {filesystem(data)}"),
        ("Python", f"{platform.python_version()}, psycopg {version('psycopg')}"),
        ("wsup", version("wsup")),
    ]


def filesystem(path: Path) -> str:
    """The type of the file system that holds `path`: on tmpfs, say, an fsync costs nothing."""
    best, found = 0, "?"
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, mount, kind, *_rest = line.split()
        if path.is_relative_to(mount) and len(mount) >= best:
            best, found = len(mount), kind
    return found


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory_kib() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1])
    return 0
