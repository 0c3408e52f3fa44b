"""wsup, as any other peer: installed in a venv of its own, run by its command."""

import importlib
import inspect
import os
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import psycopg
from bench_peer import BODIES, DSN, FOLDER, PORT, SETTINGS, Args, Counts, Peer, run

from wsup import App

if imported := SETTINGS.get("imports"):
    importlib.import_module(imported)

app = App(database=DSN)
limits = {name: SETTINGS[name] for name in ("rate", "burst") if name in SETTINGS}
tasks = {
    name: app.task(name=name, retries=int(name == "flaky"), backoff=0, **limits)(task.body)
    for name, task in BODIES.items()
    if SETTINGS.get("async_tasks", True) or not inspect.iscoroutinefunction(task.body)
}

KEYS = FOLDER / "keys"


class Wsup(Peer):
    """Results are kept as JSON in the outcome."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(DSN, autocommit=True)

    def prepare(self) -> None:
        from wsup.sql.migrate import migrate

        migrate(self.connection)

    def enqueue(self, task: str, args: Args) -> None:
        tasks[task].enqueue(**args)

    def enqueue_many(self, task: str, many: Sequence[Args]) -> None:
        tasks[task].enqueue_many(many)

    def enqueue_in_transaction(self, task: str, args: Args) -> None:
        with self.connection.transaction():
            self.connection.execute("INSERT INTO own VALUES (%s)", [args["number"]])
            tasks[task].options(connection=self.connection).enqueue(**args)

    def enqueue_for_tomorrow(self, task: str, many: Sequence[Args]) -> None:
        tasks[task].options(delay=86_400, priority=100).enqueue_many(many)

    def enqueue_keyed(self, task: str, many: Sequence[Args], keys: Sequence[str]) -> None:
        keyed = {key: tasks[task].options(key=key) for key in dict.fromkeys(keys)}
        graph = app.graph()  # which takes a key for each job
        for args, key in zip(many, keys, strict=True):
            graph.add(keyed[key], **args)
        graph.enqueue()

    def hold(self, task: str, args: Args) -> None:
        self.holder = psycopg.connect(DSN)
        tasks[task].options(connection=self.holder).enqueue(**args)

    def release(self) -> None:
        self.holder.commit()
        self.holder.close()

    def is_settled(self) -> bool:
        return bool(self._row("settled")[0])

    def counts(self) -> Counts:
        return Counts(*self._row("counts"))

    def results(self) -> Iterable[Any]:
        # In portions: there may be millions.
        with self.connection.transaction(), self.connection.cursor("results") as cursor:
            cursor.itersize = 20_000
            for row in cursor.execute(_statement("results")):
                yield row[0]

    def work(self) -> None:
        command = ["wsup", "start", "--app", "peer:app"]
        if PORT:
            token = FOLDER / f"token-{os.getpid()}"
            _say_into(token, "issue", token.name, "--keys", str(KEYS), "--database", DSN)
            command += ["--source", f"http://127.0.0.1:{PORT}", "--token-file", str(token)]
        else:
            command += ["--database", DSN]
        run_dir = str(FOLDER / f"run-{os.getpid()}")
        command += ["--subworkers", str(SETTINGS["subworkers"]), "--run-dir", run_dir]
        command += ["--concurrency", str(SETTINGS["concurrency"])]
        os.execvp(command[0], command)

    def serve(self) -> None:
        _say_into(KEYS, "key", "first")
        command = ["wsup", "serve", "--bind", f"127.0.0.1:{PORT}", "--keys", str(KEYS)]
        os.execvp(command[0], [*command, "--database", DSN])

    def _row(self, name: str) -> Any:
        return self.connection.execute(_statement(name)).fetchone()


def _say_into(file: Path, *words: str) -> None:
    """What `wsup token` says, into a file that nobody else may read."""
    from wsup.cli import main

    file.touch(0o600)
    with file.open("w") as said, redirect_stdout(said):
        main(["token", *words], standalone_mode=False)


def _statement(name: str) -> bytes:
    return Path(__file__).with_name(f"{name}.sql").read_bytes()


if __name__ == "__main__":
    run(Wsup())
