"""The machine on the protocol as it is, and on broken ones. `make model` runs it for longer."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from fair import Fair
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from keys import Keys
from lanes import Lanes
from limits import Limits
from machine import Machine
from planted import BUGS, KEY_BUGS, RARE, RELATED_BUGS, Bug, plant
from planted_orders import FAIR_BUGS, LIMIT_BUGS
from races import Races
from world import World

#: Runs of the machine, and the steps of each. The same ones each time, but for a number of runs
#: from the environment, for which new ones are thought up.
RUNS, STEPS = {Lanes: 20, Races: 20, Keys: 20, Limits: 10, Fair: 10}, 60
MANY_RUNS = "WSUP_MODEL_RUNS"
#: Runs within which a bug must be found, and how many of them come from the same seed: what isn't
#: found soon is found sooner from another one.
RUNS_TO_FIND, RUNS_OF_ONE = 400, 50


@pytest.fixture
def world(database: str) -> Iterator[World]:
    made = World(database)
    yield made
    made.close()


def run(
    machine: type[Machine], world: World, runs: int, *, is_new: bool = False, start: int = 0
) -> None:
    made = type("Machine", (machine,), {"world": world})
    run_state_machine_as_test(
        made if is_new else seed(start)(made),
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            # A failure is shown as it was found when there is little time.
            phases=[Phase.generate, Phase.shrink] if is_new else [Phase.generate],
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("machine", list(RUNS))
def test_every_job_is_in_one_place_whatever_interleaves(
    machine: type[Machine], world: World
) -> None:
    many = os.environ.get(MANY_RUNS)
    run(machine, world, int(many or RUNS[machine]), is_new=many is not None)


def find(bug: Bug, machine: type[Machine], world: World) -> None:
    plant(world.observer, bug)
    with pytest.raises((AssertionError, psycopg.errors.UniqueViolation), match=bug.finding):
        _search(machine, world)


def _search(machine: type[Machine], world: World) -> None:
    for start in range(RUNS_TO_FIND // RUNS_OF_ONE):
        run(machine, world, RUNS_OF_ONE, start=start)


@pytest.mark.parametrize(
    "bug", [pytest.param(bug, marks=[pytest.mark.slow] * (bug in RARE)) for bug in BUGS]
)
def test_the_model_finds(bug: str, world: World) -> None:
    find(BUGS[bug], Lanes, world)


@pytest.mark.slow
@pytest.mark.parametrize("bug", RELATED_BUGS)
def test_the_model_of_relations_finds(bug: str, world: World) -> None:
    find(RELATED_BUGS[bug], Races, world)


@pytest.mark.slow
@pytest.mark.parametrize("bug", KEY_BUGS)
def test_the_model_of_keys_finds(bug: str, world: World) -> None:
    find(KEY_BUGS[bug], Keys, world)


@pytest.mark.slow
@pytest.mark.parametrize("bug", LIMIT_BUGS)
def test_the_model_of_limits_finds(bug: str, world: World) -> None:
    find(LIMIT_BUGS[bug], Limits, world)


@pytest.mark.slow
@pytest.mark.parametrize("bug", FAIR_BUGS)
def test_the_model_of_fairness_finds(bug: str, world: World) -> None:
    find(FAIR_BUGS[bug], Fair, world)
