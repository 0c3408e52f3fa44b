"""`python -m bench.model [FILE …]`: a law of throughput, fitted to a scale-out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BenchError
from ..peers import results
from ..peers.report import DOCS, HTTP, LONG

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Where the first one has no curve, the second one's is taken.
RAW = (DOCS / f"{LONG}.jsonl", DOCS / f"{HTTP}.jsonl")
PAGE = "scale.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.model", description=__doc__)
    usual = ", ".join(f"docs/{file.name}" for file in RAW)
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*", help=usual)
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE} and its plots")
    given = parser.parse_args()
    try:
        show(given.files or [file for file in RAW if file.exists()], write=given.write)
    except BenchError as error:
        sys.exit(f"no model: {error}")


def show(files: Sequence[Path], *, write: bool, docs: Path = DOCS) -> None:
    """Raises BenchError."""
    try:
        from . import page, plots, study
    except ImportError as error:
        raise BenchError(f"{error.name} is missing: pip install -e '.[bench]'") from None
    found = study.studies([results.read(file) for file in files])
    print(page.text(found))
    if write:
        drawn = {each.pause: plots.draw(each, docs) for each in found}
        command, names = "python -m bench.model --write", [file.name for file in files]
        (docs / PAGE).write_text(page.page(found, drawn, command, names) + "\n")
        print(f"\nwritten: {', '.join([PAGE, *drawn.values()])}")


if __name__ == "__main__":
    main()
