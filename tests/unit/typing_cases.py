"""What a type checker knows of a task. Not run: mypy reads it, and reports each unused ignore."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

import psycopg

from wsup import App, AsyncTask, FailedJobs, Job, QueueInfo, Task, current_job
from wsup.subworkers.contract import RunnableApp, RunnableTask

app = App()


@app.task
def pay(order: int, amount: float, note: str = "") -> str:
    return note


@app.task(queue="mail", retries=3)
async def mail(to: str) -> int:
    return len(to)


@app.task
async def bare(to: str) -> int:
    return len(to)


async def runs(plain: RunnableTask, coroutine: RunnableTask, app: RunnableApp) -> None:
    """The shape that a subworker needs."""


async def tasks_have_the_types_of_their_functions() -> None:
    assert_type(pay(1, 2.5), str)
    assert_type(await mail("a"), int)
    assert_type(await bare("a"), int)
    plain: Task[..., str] = pay
    coroutine: AsyncTask[..., int] = mail
    pay("1", 2.5)  # type: ignore[arg-type]
    await runs(plain, coroutine, app)


async def jobs_have_the_types_of_their_results() -> None:
    assert_type(pay.enqueue(1, amount=2.5), Job[str])
    assert_type(await pay.aenqueue(1, 2.5), Job[str])
    assert_type(pay.enqueue(1, 2.5).result(), str)
    assert_type(await mail.enqueue("a").aresult(timeout=1), int)
    assert_type(await bare.enqueue("a").aresult(), int)
    assert_type(app.job(1), Job[Any])
    assert_type(pay.job(1), Job[str])
    pay.enqueue(1)  # type: ignore[call-arg]
    pay.enqueue(1, "much")  # type: ignore[arg-type]
    mail.enqueue(subject="a")  # type: ignore[call-arg]


def options_keep_the_types(connection: psycopg.Connection[dict[str, Any]]) -> None:
    later = pay.options(delay=5, connection=connection)
    assert_type(later.enqueue(1, 2.5), Job[str])
    later.enqueue("1", 2.5)  # type: ignore[arg-type]
    pay.options(connection="postgresql://")  # type: ignore[arg-type]


def keys_are_made_of_the_arguments() -> None:
    keyed = pay.options(unique_key=lambda order, amount, note="": note, on_conflict="replace")
    assert_type(keyed.enqueue(1, 2.5).is_new, bool)
    pay.options(unique_key=lambda order, amount, note="": order)  # type: ignore[arg-type, return-value]
    pay.options(unique_key="k", on_conflict="ignore")  # type: ignore[arg-type]
    app.task(expires=5, deadline="soon")  # type: ignore[call-overload]


@dataclass
class Parcel:
    to: str


@app.task(batch=100, batch_wait=0.5)
def send(parcels: list[Parcel]) -> list[int | Exception]:
    return [len(parcel.to) for parcel in parcels]


@app.task(batch=10)
async def carry(weights: Sequence[int]) -> list[str]:
    return [str(weight) for weight in weights]


@app.task(batch=10, retries=3)
def throw(parcels: list[Parcel]) -> None: ...


async def batch_tasks_are_enqueued_one_by_one() -> None:
    assert_type(send.enqueue(Parcel("a")), Job[int])
    assert_type(await carry.aenqueue(1), Job[str])
    assert_type(throw.enqueue(Parcel("a")).result(), None)
    assert_type(send([Parcel("a")]), Sequence[int | Exception])
    assert_type(await carry([1]), Sequence[str | Exception])
    await runs(send, carry, app)
    send.enqueue([Parcel("a")])  # type: ignore[arg-type]
    carry.enqueue("1")  # type: ignore[arg-type]
    app.task(batch=5)(pay)  # type: ignore[arg-type]


async def transactions_give_the_connection_that_they_are_given(
    connection: psycopg.Connection[dict[str, Any]],
    coroutine: psycopg.AsyncConnection[dict[str, Any]],
) -> None:
    job = current_job()
    with job.transaction() as own:
        assert_type(own, psycopg.Connection[tuple[Any, ...]])
    with job.transaction(connection) as given:
        assert_type(given, psycopg.Connection[dict[str, Any]])
    async with job.atransaction() as own_async:
        assert_type(own_async, psycopg.AsyncConnection[tuple[Any, ...]])
    async with job.atransaction(coroutine) as given_async:
        assert_type(given_async, psycopg.AsyncConnection[dict[str, Any]])
    job.transaction(coroutine)  # type: ignore[call-overload]


def many_are_checked_where_they_are_made() -> None:
    assert_type(pay.enqueue_many([pay.args(1, 2.5), pay.args(2, amount=3)]), list[Job[str]])
    pay.enqueue_many([{"order": 1, "amount": 2.5}, (1, 2.5)])
    pay.enqueue_many([pay.args(1)])  # type: ignore[call-arg]
    pay.enqueue_many([mail.args("a")])  # type: ignore[list-item]
    pay.enqueue_many([[1, 2.5]])  # type: ignore[list-item]


def schedules_leave_the_task_as_it_is() -> None:
    scheduled = app.schedule("0 3 * * *", timezone="UTC", args=(1, 2.5))(pay)
    assert_type(scheduled.enqueue(1, 2.5), Job[str])
    app.schedule(every=5, kwargs={"subject": "a"}, catch_up="all")(mail)
    app.schedule("0 3 * * *", every=5)  # type: ignore[call-overload]
    app.schedule(every=5, catch_up="some")  # type: ignore[call-overload]
    app.schedule(every=5, timezone="UTC")  # type: ignore[call-overload]
    app.schedule(every=5)(print)  # type: ignore[type-var]


async def many_jobs_are_chosen_by_what_they_are() -> None:
    failed = app.jobs([pay.job(1), 2], state="failed", task="pay", since=timedelta(hours=2))
    assert_type(failed.retry(dry_run=True), int)
    assert_type(await failed.amove("later"), int)
    assert_type(failed.count(), dict[str, int])
    assert_type(failed.failed(), list[FailedJobs])
    assert_type(pay.job(1).rerun({"order": 2, "amount": 2.5}), Job[str])
    assert_type(app.queue("mail").pause(), bool)
    assert_type(app.queues(), list[QueueInfo])
    app.jobs(state="lost")  # type: ignore[arg-type]
    app.jobs(since=3)  # type: ignore[arg-type]
