"""`python -m bench.model [FILE]`: a law of throughput, fitted to a scale-out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import BenchError
from ..peers import results
from ..peers.report import DOCS, LONG

RAW = DOCS / f"{LONG}.jsonl"
PAGE = "scale.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.model", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=RAW, help=f"docs/{RAW.name}")
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE} and its plots")
    given = parser.parse_args()
    try:
        show(given.file, write=given.write)
    except BenchError as error:
        sys.exit(f"no model: {error}")


def show(file: Path, *, write: bool, docs: Path = DOCS) -> None:
    """Raises BenchError."""
    try:
        from . import page, plots, study
    except ImportError as error:
        raise BenchError(f"{error.name} is missing: pip install -e '.[bench]'") from None
    found = study.studies(results.read(file))
    print(page.text(found))
    if write:
        drawn = {each.pause: plots.draw(each, docs) for each in found}
        command = "python -m bench.model --write"
        (docs / PAGE).write_text(page.page(found, drawn, command, file.name) + "\n")
        print(f"\nwritten: {', '.join([PAGE, *drawn.values()])}")


if __name__ == "__main__":
    main()
