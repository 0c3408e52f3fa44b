"""Dramatiq with Redis."""

import os
from collections.abc import Sequence

import dramatiq
from bench_peer import BODIES, REDIS, SETTINGS, Args, Counts, Peer, run
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

QUEUE = "dramatiq:default"

broker = RedisBroker(url=REDIS)
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)
actors = {name: dramatiq.actor(task.body, actor_name=name) for name, task in BODIES.items()}


class Dramatiq(Peer):
    """A job is forgotten when it is done, and a dead letter when it fails."""

    def __init__(self) -> None:
        self.enqueued = 0

    def prepare(self) -> None:
        """There is no schema."""

    def enqueue(self, task: str, args: Args) -> None:
        actors[task].send(**args)
        self.enqueued += 1

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        # There is no way to send many at once.
        for args in many:
            self.enqueue(task, args)

    def is_settled(self) -> bool:
        return bool(broker.client.hlen(f"{QUEUE}.msgs") == 0)

    def counts(self) -> Counts:
        retried = broker.client.hlen(f"{QUEUE}.DQ.msgs")
        failed = broker.client.zcard(f"{QUEUE}.XQ") + retried
        left = broker.client.hlen(f"{QUEUE}.msgs")
        return Counts(self.enqueued - failed - left, failed, left)

    def work(self) -> None:
        command = ["dramatiq", "peer:broker", "--processes", str(SETTINGS["workers"])]
        os.execvp(command[0], [*command, "--threads", str(SETTINGS["threads"])])


if __name__ == "__main__":
    run(Dramatiq())
