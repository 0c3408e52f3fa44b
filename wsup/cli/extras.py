"""What is installed only where it is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

from wsup.config.errors import ConfigError


@contextmanager
def needs(module: str, extra: str) -> Iterator[None]:
    """Imports that fail without wsup[extra]. Raises ConfigError."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name or module} is not installed: pip install 'wsup[{extra}]'"
        ) from None
