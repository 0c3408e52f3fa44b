"""RQ."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import redis
from bench_peer import BODIES, REDIS, SETTINGS, Args, Counts, Peer, run
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

#: Jobs in one pipeline.
CHUNK = 1_000


class Rq(Peer):
    """A job stays for some minutes with its result, which is a pickle."""

    def __init__(self) -> None:
        self.connection = redis.Redis.from_url(REDIS)
        self.queue = Queue(connection=self.connection)
        self.finished = FinishedJobRegistry(queue=self.queue)
        self.failed = FailedJobRegistry(queue=self.queue)
        self.started = StartedJobRegistry(queue=self.queue)
        self.enqueued = 0

    def prepare(self) -> None:
        """There is no schema."""

    def enqueue(self, task: str, args: Args) -> None:
        self.queue.enqueue(BODIES[task].body, kwargs=args)
        self.enqueued += 1

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        body = BODIES[task].body
        for first in range(0, len(many), CHUNK):
            chunk = many[first : first + CHUNK]
            self.queue.enqueue_many([Queue.prepare_data(body, kwargs=args) for args in chunk])
        self.enqueued += len(many)

    def is_settled(self) -> bool:
        ended = [self.connection.zcard(each.key) for each in (self.finished, self.failed)]
        return bool(sum(ended) == self.enqueued)

    def counts(self) -> Counts:
        left = len(self.queue) + self.started.count
        return Counts(self.finished.count, self.failed.count, left)

    def results(self) -> Iterable[Any]:
        ids = self.finished.get_job_ids()
        for job in Job.fetch_many(ids, self.connection):
            yield job and job.return_value()

    def work(self) -> None:
        command = ["rq", "worker-pool", "--url", REDIS, "--quiet"]
        command += ["--worker-class", SETTINGS["worker_class"]]
        os.execvp(command[0], [*command, "--num-workers", str(SETTINGS["workers"])])


if __name__ == "__main__":
    run(Rq())
