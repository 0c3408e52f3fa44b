"""Options made of the settings, so that a new setting is a flag at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from wsup.config.keys import Key, keys

Function = TypeVar("Function", bound=Callable[..., Any])


def settings_options(*names: str) -> Callable[[Function], Function]:
    """Options for the settings of these names (without any: for all), and --config.

    They come as `config_file` (a Path or None) and by name, as text or None; `load` checks them.
    """

    def decorate(function: Function) -> Function:
        for name in reversed(names or tuple(keys())):
            function = _option(keys()[name])(function)
        return click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Settings to read instead of ./wsup.toml.  [WSUP_CONFIG]",
        )(function)

    return decorate


def _option(key: Key) -> Callable[[Function], Function]:
    limits = [] if key.expects == "text" else [key.expects]
    if key.default not in (None, "", ()):
        limits.append(f"default {key.default}")
    return click.option(
        "--" + key.name.replace("_", "-"),
        key.name,
        metavar=key.metavar,
        help=key.description + (f"  [{'; '.join(limits)}]" if limits else ""),
    )
