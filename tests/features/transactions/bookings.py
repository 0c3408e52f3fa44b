"""Tasks that end their jobs by transactions of their own; each can be held up at every step."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg

from wsup import App, current_job

sync, both = App(), App()

BOOK = "INSERT INTO booking (job, attempt, hangs) VALUES (%s, %s, %s)"


def task(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        both.task(name=function.__name__, **options)(function)
        if not asyncio.iscoroutinefunction(function):
            sync.task(name=function.__name__, **options)(function)
        return function

    return register


class Steps:
    """In the first attempt, waits at the step that it is told: until there is a file "go"."""

    def __init__(self, folder: str, at: str) -> None:
        self.folder = Path(folder)
        self.at = at if current_job().attempt == 1 else ""
        with (self.folder / "runs").open("a") as file:
            file.write(f"{current_job().id}\n")

    def reached(self, step: str) -> bool:
        """Say so, if it is the step to wait at."""
        if step != self.at:
            return False
        (self.folder / "reached").write_text(f"{os.getpid()}")
        return True

    def wait(self, step: str) -> None:
        if self.reached(step):
            while not (self.folder / "go").exists():
                time.sleep(0.005)

    async def await_(self, step: str) -> None:
        if self.reached(step):
            while not (self.folder / "go").exists():
                await asyncio.sleep(0.005)

    def row(self) -> list[object]:
        return [current_job().id, current_job().attempt, self.reached("commit")]


@task(retries=2, backoff=0)
def book(folder: str, at: str = "") -> str:
    steps = Steps(folder, at)
    with current_job().transaction() as connection:
        connection.execute(BOOK, steps.row())
        current_job().set_result({"booked": current_job().attempt})
        steps.wait("block")
    steps.wait("after")
    return "nobody hears this"


@task(retries=2, backoff=0)
async def book_async(folder: str, at: str = "") -> None:
    steps = Steps(folder, at)
    async with current_job().atransaction() as connection:
        await connection.execute(BOOK, steps.row())
        current_job().set_result({"booked": current_job().attempt})
        await steps.await_("block")
    await steps.await_("after")


@task(retries=2, backoff=0)
def book_cut_off(folder: str) -> None:
    """While the server works on the COMMIT, this side's end of the connection is lost."""

    def cut(number: int) -> None:
        steps.folder.joinpath("reached").write_text("")
        while not (steps.folder / "cut").exists():
            time.sleep(0.005)
        with socket.socket(fileno=os.dup(number)) as end:
            end.shutdown(socket.SHUT_RDWR)

    steps = Steps(folder, "commit")
    with current_job().transaction() as connection:
        connection.execute(BOOK, [current_job().id, current_job().attempt, True])
        if current_job().attempt == 1:
            threading.Thread(target=cut, args=(connection.fileno(),), daemon=True).start()


@task()
def book_with(database: str, how: str) -> str:
    """By connections of the task's own; and what becomes of those that won't do."""
    with psycopg.connect(database, autocommit=how == "autocommit") as connection:
        given: Any = connection
        if how == "pool":
            given = SimpleNamespace(connection=lambda: nullcontext(connection))
        elif how == "busy":
            connection.execute("SELECT 1")
        elif how == "no connection":
            given = database
        with current_job().transaction(given) as lent:
            lent.execute(BOOK, [current_job().id, 1, False])
            if how == "commits":
                lent.commit()
            elif how == "raises":
                raise ValueError("no seat left")
            elif how == "rolls back":
                raise psycopg.Rollback
            elif how == "no JSON":
                current_job().set_result(object())
            elif how == "twice":
                lent.execute(BOOK, [current_job().id, 1, False])
    if how == "again":
        current_job().transaction()
    return "returned"


@task()
async def book_with_async(database: str, how: str) -> str:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        given: Any = connection
        if how == "pool":
            given = SimpleNamespace(connection=lambda: nullcontext(connection))
        elif how == "not async":
            given = psycopg.connect(database)
        async with current_job().atransaction(given) as lent:
            await lent.execute(BOOK, [current_job().id, 1, False])
            if how == "raises":
                raise ValueError("no seat left")
    return "returned"


@task(timeout=0.2)
def book_late(folder: str) -> None:
    """Its time is over while the database works on the COMMIT."""
    with current_job().transaction() as connection:
        connection.execute(BOOK, Steps(folder, "commit").row())


@task(timeout=0.2)
async def book_late_async(folder: str) -> None:
    async with current_job().atransaction() as connection:
        await connection.execute(BOOK, Steps(folder, "commit").row())


@task(timeout=0.1)
async def block() -> None:
    """Goes on although its time is over, and has its process killed."""
    time.sleep(60)  # noqa: ASYNC251


@task()
def other() -> None:
    """Does nothing."""
