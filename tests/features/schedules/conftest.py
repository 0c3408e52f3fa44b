"""Supervisors that live by the clock."""

from collections.abc import Callable, Sequence

import pytest
from clocked_host import write
from running import Supervisor

MakeSupervisor = Callable[..., Supervisor]


@pytest.fixture
def clocked(make_supervisor: MakeSupervisor) -> MakeSupervisor:
    """Makes supervisors of an app with these schedules, each a line of Python."""

    def make(*schedules: str, module: str = "clocked", flags: Sequence[str] = ()) -> Supervisor:
        supervisor = make_supervisor("--subworkers", "1", *flags, app=f"{module}:app")
        write(supervisor, *schedules, module=module)
        return supervisor

    return make
