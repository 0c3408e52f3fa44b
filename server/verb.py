"""A verb of the protocol, and an answer to it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from ..sql.answers import Row
from .agent import Agent


class Given(NamedTuple):
    """An answer, and the jobs in it: given back if they can't be delivered."""

    reply: Any
    supervisor: int = 0
    rows: Sequence[Row] = ()


class Verb(NamedTuple):
    #: For the description.
    does: str
    #: What a request carries.
    request: Any
    answer: Callable[[Agent, Any], Awaitable[Any]]
    reply: Any
    #: What the token must allow.
    needs: str = "run"
