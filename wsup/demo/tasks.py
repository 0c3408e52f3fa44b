"""The demo's app: what its subworkers run."""

import sysconfig
import warnings
from pathlib import Path
from typing import Final

from wsup import App
from wsup.demo.complexity import Figures, measured

LIBRARY: Final = Path(sysconfig.get_path("stdlib"))
#: Where the library's folder holds what is not the library's.
FOREIGN: Final = frozenset({"site-packages", "dist-packages"})
#: Seconds; the largest file takes one, on a slow machine.
TIMEOUT: Final = 60.0

app = App()


@app.task(name="measure", timeout=TIMEOUT)
def measure(file: str) -> Figures:
    """Measure one file of the standard library. Fails for a file that doesn't parse."""
    return measured((LIBRARY / file).read_bytes(), file)


@app.on_template
def mute_parser() -> None:
    """Old code draws warnings from the parser: hundreds, and none of the reader's business."""
    warnings.simplefilter("ignore")


def library_files() -> list[str]:
    """Every source file of the running Python's standard library, relative to its folder."""
    files = (file.relative_to(LIBRARY) for file in LIBRARY.rglob("*.py") if file.is_file())
    return sorted(str(file) for file in files if FOREIGN.isdisjoint(file.parts))
