"""Who enqueues jobs that have to do with others: that wait for them, share a key, are cancelled."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from wsup.errors import JobExists

from . import app
from .producers import BY_SQL, Paced, arguments
from .requests import Cancelled, Child, Keyed, Limited, Unique
from .statements import statement

if TYPE_CHECKING:
    import psycopg

    from wsup.options import OnConflict

    Connection = psycopg.Connection[tuple[Any, ...]]

#: How often each kind is a parent, beside children.
PARENTS = {"nap": 40, "nap_async": 20, "noop": 20, "fickle": 10, "doomed": 8, "crash_once": 2}
#: How often each kind is cancelled.
VICTIMS = {"nap": 40, "nap_async": 30, "fickle": 15, "snooze": 10, "child": 20, "limited": 15,
           "hosted": 10, "shared": 15}  # fmt: skip
#: Committed jobs that later ones may wait for.
REMEMBERED = 30
#: Unique keys: so few that calls meet.
KEYS = 6
#: Keys by their limits.
LIMITS = {"one": 1, "another": 1, "two": 2, "three": 3}
#: How often each kind has a key.
SHARING = {"nap": 40, "nap_async": 20, "child": 20, "fickle": 10, "snooze": 5, "doomed": 3,
           "crash_once": 1}  # fmt: skip
#: The share of those jobs to be cancelled that have a key as well.
BOTH = 0.2
#: The share of children that run even if a parent fails.
RUN_ANYWAY = 0.25
#: Seconds between a job's commit and the request to cancel it: from, to.
CANCELLED_AFTER = (0.0, 0.8)


class Families(Paced):
    """Parents and children, of the same transaction and of earlier ones."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._known: deque[int] = deque(maxlen=REMEMBERED)
        self._new: list[int] = []

    def _rate(self) -> float:
        return self._plan.children

    def _fill(self, connection: Connection) -> list[int]:
        chance = self._chance
        kinds = chance.choices(list(PARENTS), list(PARENTS.values()), k=chance.randint(0, 3))
        fill = self._graph if chance.random() < 0.3 else self._one_by_one
        self._new = fill(connection, kinds, chance.randint(1, 4))
        self._made += len(self._new)
        return self._new

    def _over(self, *, committed: bool) -> None:
        if committed:
            self._known.extend(self._new)

    def _parents(self, of: list[Any]) -> tuple[list[Any], list[Any]]:
        """Some that must succeed, and some that must end."""
        found = self._chance.sample(of, k=min(len(of), self._chance.randint(1, 3)))
        strict = [parent for parent in found if self._chance.random() >= RUN_ANYWAY]
        return strict, [parent for parent in found if parent not in strict]

    def _graph(self, connection: Connection, kinds: list[str], count: int) -> list[int]:
        graph = app.app.graph(connection)
        nodes: list[Any] = [
            graph.add(app.app.tasks[kind], **arguments(kind, self._chance))
            for kind in [*kinds, "nap"]
        ]
        asked = []
        for _ in range(count):
            strict, lax = self._parents(nodes[-3:])
            task: Any = app.child.options(after=strict or None, after_lax=lax or None)
            nodes.append(graph.add(task, seconds=self._seconds()))
            asked.append((nodes[-1], strict, lax))
        jobs = [job.id for job in graph.enqueue()]
        for node, strict, lax in asked:
            parents = tuple(p.id for p in strict), tuple(p.id for p in lax)
            self._requests.append(Child(node.id, *parents))
        return jobs

    def _one_by_one(self, connection: Connection, kinds: list[str], count: int) -> list[int]:
        jobs = []
        for kind in kinds or ["nap"]:
            task: Any = app.app.tasks[kind]
            args = arguments(kind, self._chance)
            jobs.append(int(task.options(connection=connection).enqueue(**args).id))
        for _ in range(count):
            strict, lax = self._parents([*self._known, *jobs * 4])
            strict, lax = list(set(strict)), list(set(lax) - set(strict))
            if self._chance.random() < BY_SQL:
                child = self._by_sql(connection, strict, lax)
            else:
                options = app.child.options(
                    after=strict or None, after_lax=lax or None, connection=connection
                )
                child = options.enqueue(seconds=self._seconds()).id
                self._requests.append(Child(child, tuple(strict), tuple(lax)))
            jobs.append(child)
        return jobs

    def _by_sql(self, connection: Connection, strict: list[int], lax: list[int]) -> int:
        """All of them strict, or, with on_parent_failure, all lax."""
        how = "cancel" if strict else "run"
        args = json.dumps({"seconds": self._seconds()})
        row = connection.execute(
            statement("enqueue_child"), ["child", args, strict or lax, how]
        ).fetchone()
        assert row is not None
        self._requests.append(Child(row[0], tuple(strict), () if strict else tuple(lax)))
        return int(row[0])

    def _seconds(self) -> float:
        return round(self._chance.uniform(0.0, 0.1), 3)


class Cancels(Paced):
    """Jobs that are cancelled soon after they were committed, wherever they are then."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._new: list[int] = []
        #: Jobs that are committed, and when to cancel them.
        self._due: deque[tuple[float, list[int]]] = deque()

    def _rate(self) -> float:
        return self._plan.cancelled

    def _is_due(self, connection: Connection) -> bool:
        return bool(self._due and self._due[0][0] <= time.monotonic()) or super()._is_due(
            connection
        )

    def _fill(self, connection: Connection) -> list[int]:
        self._new = []
        if self._due and self._due[0][0] <= time.monotonic():
            _, jobs = self._due.popleft()
            for job, answer in connection.execute(statement("cancel"), [jobs]):
                self._requests.append(Cancelled(job, answer))
            return []
        kinds = self._chance.choices(
            list(VICTIMS), list(VICTIMS.values()), k=self._chance.randint(1, 4)
        )
        self._made += len(kinds)
        parents: list[int] = []
        for kind in kinds:
            parents.append(self._enqueue(connection, kind, parents))
        self._new = parents
        return parents

    def _enqueue(self, connection: Connection, kind: str, before: list[int]) -> int:
        if kind == "child":
            task: Any = app.child.options(connection=connection, after_lax=before or None)
            args: dict[str, object] = {"seconds": 0.05}
        else:
            delay = self._chance.choice([None, None, 0.3])
            key = self._chance.choice(list(LIMITS)) if self._chance.random() < BOTH else None
            task = app.app.tasks[kind].options(
                connection=connection, delay=delay, key=key, key_limit=LIMITS.get(key or "")
            )
            args = arguments(kind, self._chance)
        job = int(task.enqueue(**args).id)
        if kind != "child" and key is not None:
            self._requests.append(Keyed(job, key, LIMITS[key]))
        if kind == "child":
            self._requests.append(Child(job, (), tuple(before)))
        elif kind in ("limited", "hosted"):
            self._requests.append(Limited(job, kind))
        return job

    def _over(self, *, committed: bool) -> None:
        if committed and self._new:
            after = self._chance.uniform(*CANCELLED_AFTER)
            # Some run on, among them children of cancelled ones.
            some = self._chance.sample(self._new, k=self._chance.randint(1, len(self._new)))
            self._due.append((time.monotonic() + after, some))


def _key(key: str, version: int, seconds: float) -> str:
    """The unique key of a call."""
    return key


class Uniques(Paced):
    """Calls for few keys, in transactions that wait for each other."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        #: No two calls have the same.
        self._version = self._chance.getrandbits(48)

    def _rate(self) -> float:
        return self._plan.unique

    def _fill(self, connection: Connection) -> list[int]:
        keys = self._chance.sample(range(KEYS), k=self._chance.randint(1, 3))
        how: OnConflict = self._chance.choice(["skip", "replace", "replace", "raise"])
        items = []
        for key in keys:
            self._version += 1
            items.append((f"k{key}", self._version, round(self._chance.uniform(0, 0.3), 3)))
        self._made += len(items)
        task = app.unique.options(
            unique_key=_key,
            on_conflict=how,
            delay=self._chance.choice([None, None, 0.2]),
            connection=connection,
        )
        try:
            jobs = task.enqueue_many(items)
        except JobExists:
            return []
        answered = time.monotonic()
        for job, (name, version, _) in zip(jobs, items, strict=True):
            made = "new" if job.is_new else "replaced" if job.is_replaced else "existing"
            self._requests.append(Unique(job.id, name, made, version, answered))
        return [job.id for job in jobs if job.is_new]


class Keys(Paced):
    """Jobs of which only so many may run at once, a part of them with parents."""

    def _rate(self) -> float:
        return self._plan.keyed

    def _fill(self, connection: Connection) -> list[int]:
        jobs: list[int] = []
        kinds = self._chance.choices(
            list(SHARING), list(SHARING.values()), k=self._chance.randint(1, 6)
        )
        for kind in kinds:
            key = self._chance.choice(list(LIMITS))
            args = arguments(kind, self._chance)
            if kind in ("nap", "nap_async", "child"):
                args = {"seconds": round(self._chance.uniform(0.0, 0.15), 3)}
            after_lax = self._chance.sample(jobs, k=1) if jobs and kind == "child" else None
            job = self._enqueue(connection, kind, args, key, after_lax)
            if after_lax:
                self._requests.append(Child(job, (), tuple(after_lax)))
            self._requests.append(Keyed(job, key, LIMITS[key]))
            jobs.append(job)
        self._made += len(jobs)
        return jobs

    def _enqueue(
        self, connection: Connection, kind: str, args: object, key: str, after_lax: list[int] | None
    ) -> int:
        row = connection.execute(
            statement("enqueue_keyed"), [kind, json.dumps(args), key, LIMITS[key], after_lax]
        ).fetchone()
        assert row is not None
        return int(row[0])
