"""Tasks that end their jobs by transactions of their own, and say and keep much meanwhile."""

import asyncio
import os

from wsup import App, current_job

sync, both = App(capture_logs=True), App(capture_logs=True)


@sync.task(name="pay")
@both.task(name="pay")
def pay(amount: int) -> None:
    job = current_job()
    print("before")
    job.progress(0.5)
    job.checkpoint("half")
    with job.transaction() as connection:
        print("inside")
        connection.execute("SELECT 1")
        job.set_result(amount)
    os.write(1, b"after, by a program\n")
    print("after")
    job.progress(1, "paid")
    job.checkpoint("all")


@both.task(name="pay_async")
async def pay_async(amount: int) -> None:
    job = current_job()
    print("before")
    async with job.atransaction() as connection:
        print("inside")
        await connection.execute("SELECT 1")
        job.set_result(amount)
    print("after")
    job.progress(1, "paid")
    job.checkpoint("all")
    await asyncio.sleep(0)


@sync.task(name="thank")
@both.task(name="thank")
def thank() -> list[object]:
    return [parent.result for parent in current_job().parents]
