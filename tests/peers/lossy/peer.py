"""A queue of one table that works, or does one thing wrong, for the harness to find."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import psycopg
from bench_peer import BODIES, DSN, SETTINGS, Args, Counts, Peer, run

FAULT = SETTINGS["fault"]
#: The number of the job that it happens to: one of the second half, all others are done well.
VICTIM = 150

CREATE = "CREATE TABLE queue (task text, args json, state text DEFAULT 'ready', result json)"
TAKE = """UPDATE queue SET state = 'running' WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM queue WHERE state = 'ready' FOR UPDATE SKIP LOCKED LIMIT 20))
    RETURNING task, args"""
END = """UPDATE queue SET state = %s, result = %s
    WHERE state = 'running' AND args->>'number' = %s"""
COUNT = """SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'failed'),
    count(*) FILTER (WHERE state NOT IN ('done', 'failed')) FROM queue"""

UNSETTLED = "SELECT count(*) FROM queue WHERE state IN ('ready', 'running')"


class Lossy(Peer):
    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)

    def prepare(self) -> None:
        self.connection.execute(CREATE)

    def enqueue(self, task: str, args: Args) -> None:
        if FAULT == "unsaved" and args["number"] == 0:
            return
        insert = "INSERT INTO queue (task, args) VALUES (%s, %s)"
        self.connection.execute(insert, [task, json.dumps(args)])

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        for args in many:
            self.enqueue(task, args)
            if FAULT == "at once":
                BODIES[task].body(**args)

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        if FAULT == "uncommitted":
            return self.enqueue(task, args)
        with self.connection.transaction():
            self.connection.execute("INSERT INTO own VALUES (%s)", [args["number"]])
            self.enqueue(task, args)
        return None

    def enqueue_for_tomorrow(self, task: str, many: Sequence[Args]) -> None:
        state = "ready" if FAULT == "early" else "later"
        insert = "INSERT INTO queue (task, args, state) VALUES (%s, %s, %s)"
        for args in many:
            self.connection.execute(insert, [task, json.dumps(args), state])

    def enqueue_keyed(self, task: str, many: Sequence[Args], keys: Sequence[str]) -> None:
        insert = "INSERT INTO queue (task, args, state) VALUES (%s, %s, %s)"
        for args, key in zip(many, keys, strict=True):
            # Of the busy key, only the job that keeps it busy ever runs.
            waits = key == "busy 0" and task != "occupy" and FAULT != "keyless"
            self.connection.execute(insert, [task, json.dumps(args), "later" if waits else "ready"])

    def hold(self, task: str, args: Args) -> None:
        self.holder = psycopg.connect(DSN)
        insert = "INSERT INTO queue (task, args) VALUES (%s, %s)"
        self.holder.execute(insert, [task, json.dumps(args)])

    def release(self) -> None:
        self.holder.rollback() if FAULT == "unheld" else self.holder.commit()

    def is_settled(self) -> bool:
        row = self.connection.execute(UNSETTLED).fetchone()
        return row == (0,)

    def counts(self) -> Counts:
        return Counts(*self.connection.execute(COUNT).fetchone() or ())

    def results(self) -> Iterable[Any]:
        return [row[0] for row in self.connection.execute("SELECT result FROM queue")]

    def work(self) -> None:
        signal.signal(signal.SIGTERM, _leave)
        while True:
            taken = self.connection.execute(TAKE).fetchall()
            for task, args in taken:
                self.one(task, args)
            if not taken:
                time.sleep(0.005)

    def one(self, task: str, args: Args) -> None:
        number = args["number"]
        fault = FAULT if number == VICTIM else "none"
        if task == "occupy":
            threading.Thread(target=self.occupy, args=(number,), daemon=True).start()
            return
        result = None if fault == "unrun" else BODIES[task].body(**args)
        if fault == "stuck":
            return
        if fault == "forgotten":
            self.connection.execute("DELETE FROM queue WHERE args->>'number' = %s", [str(number)])
        state = "failed" if fault == "failed" else "done"
        kept = None if fault == "no result" else result
        kept = -1 if fault == "wrong result" else kept
        self.connection.execute(END, [state, json.dumps(kept), str(number)])

    def occupy(self, number: int) -> None:
        asyncio.run(BODIES["occupy"].body(number))
        Lossy().connection.execute(END, ["done", str(number), str(number)])


def _leave(signum: int, frame: object) -> NoReturn:
    raise SystemExit


if __name__ == "__main__":
    run(Lossy())
