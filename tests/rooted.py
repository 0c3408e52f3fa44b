"""Imports of the packages at the root that aren't installed.

The root must not be on the path: it has a `config` and a `supervisor`, too.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def import_from_root(name: str) -> None:
    """Make `import name` work. Nothing happens the second time."""
    if name in sys.modules:
        return
    folder = ROOT / name
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
