"""Batch tasks that say and keep something of their jobs."""

import os
import signal

from wsup import App, current_batch

sync, both = App(capture_logs=True), App(capture_logs=True)


def say(items: list[str]) -> list[object]:
    print(f"{len(items)} labels")
    jobs = current_batch()
    for n, (item, job) in enumerate(zip(items, jobs, strict=True)):
        if job.attempt == 1:
            job.progress(n / len(items), item)
            job.checkpoint([item])
    if jobs[0].attempt == 1 and items[0] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return [job.last_checkpoint() for job in jobs]


@sync.task(name="stick", batch=3, batch_wait=5, retries=1, backoff=0)
@both.task(name="stick", batch=3, batch_wait=5, retries=1, backoff=0)
def stick(items: list[str]) -> list[object]:
    return say(items)


@both.task(name="stick_async", batch=3, batch_wait=5, retries=1, backoff=0)
async def stick_async(items: list[str]) -> list[object]:
    return say(items)


@sync.task(batch=3, batch_wait=5)
def read(items: list[str]) -> list[object]:
    """What the parents of each job gave."""
    return [[parent.result for parent in job.parents] for job in current_batch()]


@sync.task(batch=3, batch_wait=5)
def chatter(items: list[str]) -> None:
    for n in range(1000):
        print(f"line {n}")
