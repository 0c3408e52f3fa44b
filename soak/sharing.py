"""Who enqueues jobs that must not all run at once: those of tasks with limits, and of tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import app
from .kinds import FAIR
from .producers import Paced
from .requests import Limited, Shared
from .statements import statement

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

#: How often each kind with a limit comes, and how many of it at most: more than may run, or start.
LIMITED = {"limited": (10, 6), "hosted": (10, 6), "metered": (1, 60)}
#: How often a tenant enqueues, and how much at most.
TENANTS = {"large": (1, 100), "small": (5, 3), "another": (5, 3), "rare": (1, 1)}
#: How often the queue becomes fair, or stops being so, while jobs stand in it.
CHANGED = 0.05


class Limits(Paced):
    def _rate(self) -> float:
        return self._plan.limited

    def _fill(self, connection: Connection) -> list[int]:
        weights = [weight for weight, _ in LIMITED.values()]
        (kind,) = self._chance.choices(list(LIMITED), weights)
        items = [self._arguments(kind) for _ in range(self._chance.randint(1, LIMITED[kind][1]))]
        self._made += len(items)
        task: Any = app.app.tasks[kind]
        jobs = [job.id for job in task.options(connection=connection).enqueue_many(items)]
        self._requests += [Limited(job, kind) for job in jobs]
        return jobs

    def _arguments(self, kind: str) -> tuple[float, ...]:
        return () if kind == "metered" else (round(self._chance.uniform(0.0, 0.3), 3),)


class Tenants(Paced):
    """One of them has much, all at once. By hand, the queue is fair or not; with each supervisor
    that starts or reloads, it is fair again."""

    def _rate(self) -> float:
        return self._plan.shared

    def _fill(self, connection: Connection) -> list[int]:
        if self._chance.random() < CHANGED:
            connection.execute(statement("set_fair"), [FAIR, self._chance.random() < 0.5])
            return []
        weights = [weight for weight, _ in TENANTS.values()]
        (tenant,) = self._chance.choices(list(TENANTS), weights)
        items = [
            (round(self._chance.uniform(0.0, 0.05), 3),)
            for _ in range(self._chance.randint(1, TENANTS[tenant][1]))
        ]
        self._made += len(items)
        task: Any = app.shared.options(connection=connection, key=tenant)
        jobs = [job.id for job in task.enqueue_many(items)]
        self._requests += [Shared(job, tenant) for job in jobs]
        return jobs
