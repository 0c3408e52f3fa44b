"""Real supervisors for real crashes."""

from collections.abc import Callable

import pytest
from running import Supervisor

Start = Callable[..., Supervisor]


@pytest.fixture(params=["sync", "both"])
def hostile(request: pytest.FixtureRequest, make_supervisor: Callable[..., Supervisor]) -> Start:
    """Starts a supervisor of the hostile tasks: in an app of sync ones only, and in a mixed one."""
    return lambda *flags: make_supervisor(*flags, app=f"hostile:{request.param}").start()


@pytest.fixture
def hostile_sync(make_supervisor: Callable[..., Supervisor]) -> Start:
    """Starts one of the sync tasks only, which all run in one thread."""
    return lambda *flags: make_supervisor(*flags, app="hostile:sync").start()


@pytest.fixture
def hostile_both(make_supervisor: Callable[..., Supervisor]) -> Start:
    """Starts one of sync and async tasks: the sync ones run beside a loop."""
    return lambda *flags: make_supervisor(*flags, app="hostile:both").start()
