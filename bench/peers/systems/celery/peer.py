"""Celery with Redis: database 0 is its broker, database 1 has the results and nothing else."""

import asyncio
import functools
import inspect
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import celery
import redis
from bench_peer import BODIES, REDIS, SETTINGS, Args, Counts, Peer, run

#: Keys in one MGET.
CHUNK = 1_000
RESULTS = REDIS.removesuffix("/0") + "/1"

app = celery.Celery("peer", broker=REDIS, backend=RESULTS)
app.conf.worker_prefetch_multiplier = SETTINGS.get("prefetch", 4)
app.conf.worker_disable_rate_limits = True


def _plain(body: Callable[..., Any]) -> Callable[..., Any]:
    """It has no async tasks: one of these gets a loop of its own."""
    if not inspect.iscoroutinefunction(body):
        return body

    @functools.wraps(body)
    def looped(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(body(*args, **kwargs))

    return looped


tasks = {name: app.task(name=name)(_plain(task.body)) for name, task in BODIES.items()}


class Celery(Peer):
    """A job is a result when it is done; nothing else is left of it."""

    def __init__(self) -> None:
        self.broker = redis.Redis.from_url(REDIS)
        self.backend = redis.Redis.from_url(RESULTS)
        self.enqueued = 0

    def prepare(self) -> None:
        """There is no schema."""

    def enqueue(self, task: str, args: Args) -> None:
        tasks[task].apply_async(kwargs=args)
        self.enqueued += 1

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        # There is no way to send many at once; one connection for all of them saves a little.
        with app.producer_pool.acquire(block=True) as producer:
            for args in many:
                tasks[task].apply_async(kwargs=args, producer=producer)
        self.enqueued += len(many)

    def is_settled(self) -> bool:
        return bool(self.backend.dbsize() == self.enqueued)

    def counts(self) -> Counts:
        ended = [outcome["status"] == "SUCCESS" for outcome in self._outcomes()]
        done = ended.count(True)
        left = self.broker.llen("celery") + self.broker.hlen("unacked")
        return Counts(done, len(ended) - done, left)

    def results(self) -> Iterable[Any]:
        return (outcome["result"] for outcome in self._outcomes())

    def work(self) -> None:
        name = f"--hostname={os.getpid()}@%h"
        command = ["celery", "-A", "peer:app", "worker", name, "--loglevel=WARNING"]
        command += [f"--pool={SETTINGS['pool']}", f"--concurrency={SETTINGS['concurrency']}"]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        os.execvp(command[0], command)

    def _outcomes(self) -> Iterator[Any]:
        keys = list(self.backend.scan_iter("celery-task-meta-*", count=CHUNK))
        for first in range(0, len(keys), CHUNK):
            yield from map(json.loads, self.backend.mget(keys[first : first + CHUNK]))


if __name__ == "__main__":
    run(Celery())
