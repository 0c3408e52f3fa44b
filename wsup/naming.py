"""What a function's task is called, and where it stands."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wsup.errors import TaskError


def task_name(function: Callable[..., Any]) -> str:
    """The name of a function's task: where it is defined. Raises TaskError if that is no place."""
    name = getattr(function, "__qualname__", "")
    if not name or "<" in name:
        raise TaskError(
            f"task {name or function!r}: a lambda, or a function inside of a function, has no name "
            "to be found by; move it to the top of its module, or give it a name=…"
        )
    return f"{_module(function)}.{name}"


def _module(function: Callable[..., Any]) -> str:
    """The module's name as others import it, also if it is the program that was started."""
    if function.__module__ != "__main__":
        return function.__module__
    main = sys.modules["__main__"]
    if main.__spec__ is not None:  # python -m package.module
        return main.__spec__.name.removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def place_of(function: Callable[..., Any]) -> str:
    """Where a function is defined, for people."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    return f"{getattr(function, '__qualname__', function)}{where}"
