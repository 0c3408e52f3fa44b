"""Oban asks for Python 3.12, for one statement: an alias of types, which only annotations name.

Where Python is older, that one is read as an alias that it understands; all else runs as it is.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

MODULE = "oban.job"
ALIAS = b"type Result[T] = Cancel | Snooze | Record | T | None\n"
OLDER = b"Result = list\n"


class Loader(SourceFileLoader):
    """Reads the module with the one for the other."""

    def get_data(self, path: str) -> bytes:
        return super().get_data(path).replace(ALIAS, OLDER)


class Finder(MetaPathFinder):
    """Has that one module loaded by it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == MODULE else None
        if spec is not None and spec.origin is not None:
            spec.loader = Loader(fullname, spec.origin)
        return spec


if sys.version_info < (3, 12):
    sys.meta_path.insert(0, Finder())
