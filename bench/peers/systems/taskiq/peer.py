"""Taskiq with Redis: database 0 has its stream, database 1 the results and nothing else."""

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import redis
from bench_peer import BODIES, REDIS, SETTINGS, Args, Counts, Peer, as_async, run
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

#: Messages that are sent at once, each on a connection of its own; keys in one MGET.
CHUNK = 50
RESULTS = REDIS.removesuffix("/0") + "/1"
STREAM = "taskiq"

serializer = ORJSONSerializer()
backend: Any = RedisAsyncResultBackend(RESULTS, serializer=serializer)
broker = RedisStreamBroker(REDIS, queue_name=STREAM).with_result_backend(backend)
# A plain function would go to a thread.
tasks = {
    name: broker.register_task(as_async(task.body), task_name=name) for name, task in BODIES.items()
}


class Taskiq(Peer):
    """A job is a result when it is done, and an entry of the stream that is acknowledged."""

    def __init__(self) -> None:
        self.stream = redis.Redis.from_url(REDIS)
        self.ended = redis.Redis.from_url(RESULTS)
        self.loop = asyncio.new_event_loop()
        self.enqueued = 0

    def prepare(self) -> None:
        self.loop.run_until_complete(broker.startup())  # it makes the stream

    def enqueue(self, task: str, args: Args) -> None:
        self.loop.run_until_complete(tasks[task].kiq(**args))
        self.enqueued += 1

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        self.loop.run_until_complete(_send(task, many))
        self.enqueued += len(many)

    def is_settled(self) -> bool:
        return bool(self.ended.dbsize() == self.enqueued and not self._left())

    def counts(self) -> Counts:
        failed = sum(outcome["is_err"] for outcome in self._outcomes())
        return Counts(self.ended.dbsize() - failed, failed, self._left())

    def results(self) -> Iterable[Any]:
        return (outcome["return_value"] for outcome in self._outcomes())

    def work(self) -> None:
        command = ["taskiq", "worker", "peer:broker", "--log-level", "WARNING", "--no-parse"]
        command += ["--workers", str(SETTINGS["workers"])]
        command += ["--max-async-tasks", str(SETTINGS["max_async_tasks"])]
        os.execvp(command[0], [*command, "--max-prefetch", str(SETTINGS["max_prefetch"])])

    def _left(self) -> int:
        """Not fetched, or not acknowledged."""
        (group,) = self.stream.xinfo_groups(STREAM)
        return int(group["lag"] + group["pending"])

    def _outcomes(self) -> Iterator[Any]:
        keys = list(self.ended.scan_iter(count=1_000))
        for first in range(0, len(keys), CHUNK):
            yield from map(serializer.loadb, self.ended.mget(keys[first : first + CHUNK]))


async def _send(task: str, many: Sequence[Args]) -> None:
    for first in range(0, len(many), CHUNK):
        await asyncio.gather(*(tasks[task].kiq(**args) for args in many[first : first + CHUNK]))


if __name__ == "__main__":
    run(Taskiq())
