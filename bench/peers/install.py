"""Each system in an environment of its own, with its latest release, under build/peers/."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import redis
from .errors import NotInstalled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .system import System

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "peers"
#: What a peer's adapter in Python imports of ours.
INSIDE = Path(__file__).with_name("inside")
#: What stands for wsup itself in `packages`; extras may follow.
WORKING_TREE = "."
#: Seconds; some build from source.
PATIENCE = 900


class Installed(NamedTuple):
    """A system that can be run."""

    system: System
    version: str
    #: Every package there and its version.
    packages: dict[str, str]
    #: What runs its adapter.
    interpreter: Path


def install(system: System) -> Installed:
    """Install or update. Raises NotInstalled with the reason."""
    if system.redis and not redis.is_there():
        raise NotInstalled(redis.REMEDY)
    match system.language:
        case "python":
            return _python(system)
        case "node":
            return _node(system)


def _python(system: System) -> Installed:
    venv = CACHE / system.name / "venv"
    python = venv / "bin" / "python"
    if not python.exists():
        _run(system, sys.executable, "-m", "venv", str(venv))
    with _tree(system) as tree:
        # Our own version doesn't change with every change, so pip must be told to look.
        ours = [f"{tree}{name[1:]}" for name in system.packages if _is_ours(name)]
        theirs = [name for name in system.packages if not _is_ours(name)]
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if ours:
            _run(system, *pip, "--force-reinstall", "--no-deps", *ours)
        _run(system, *pip, "--upgrade", *ours, *theirs)
    listed = json.loads(_run(system, str(python), "-m", "pip", "list", "--format=json"))
    packages = {_plain(entry["name"]): str(entry["version"]) for entry in listed}
    first = "wsup" if ours else system.packages[0]
    return Installed(system, packages.get(_plain(first), "?"), packages, python)


def _node(system: System) -> Installed:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise NotInstalled("no node and npm in PATH: install Node.js")
    folder = CACHE / system.name / "node"
    folder.mkdir(parents=True, exist_ok=True)
    latest = [f"{name}@latest" for name in system.packages]
    _run(system, "npm", "install", "--silent", "--no-audit", "--prefix", str(folder), *latest)
    listed = json.loads(_run(system, "npm", "ls", "--json", "--prefix", str(folder)))
    packages = {name: entry["version"] for name, entry in listed["dependencies"].items()}
    return Installed(system, packages[system.packages[0]], packages, Path(node))


@contextmanager
def _tree(system: System) -> Iterator[Path]:
    """A copy: setuptools would build in ours, and pack what an earlier build has left there."""
    with tempfile.TemporaryDirectory(prefix="wsup-bench-") as temporary:
        copy = Path(temporary, "wsup")
        if system.revision:
            _run(system, "git", "clone", "--quiet", "--no-checkout", str(ROOT), str(copy))
            _run(system, "git", "-C", str(copy), "checkout", "--quiet", system.revision)
            yield copy
            return
        leave = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "bench")
        shutil.copytree(ROOT, copy, ignore=leave, symlinks=True)
        yield copy


def _run(system: System, *command: str) -> str:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command, env=ours, capture_output=True, text=True, check=True, timeout=PATIENCE
        )
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        raise NotInstalled(f"{system.name}: {' | '.join(lines[-3:])}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{system.name}: {error}") from None
    return done.stdout


def _is_ours(name: str) -> bool:
    return name.partition("[")[0] == WORKING_TREE


def _plain(name: str) -> str:
    """As names of packages are compared, without extras and versions."""
    return re.split(r"[\[=<>~ ]", name)[0].lower().replace("_", "-")
