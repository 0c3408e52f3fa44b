"""What the adapters in Node.js share with those in Python: the ledger, the tasks, the protocol."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from rooted import import_from_root

import_from_root("bench")

from bench.peers.inside.bench_peer.ledger import Ledger  # noqa: E402
from bench.peers.inside.bench_peer.tasks import sleep_seconds  # noqa: E402
from bench.peers.install import INSIDE  # noqa: E402

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no node in PATH: install Node.js")

BODIES = f"import {{ BODIES }} from '{INSIDE}/bench_peer_node/index.mjs';"
#: A system that keeps its jobs in memory, and runs them as they are enqueued.
PEER = f"""
import {{ BODIES, run }} from '{INSIDE}/bench_peer_node/index.mjs';
const kept = [];
const enqueue = async (task, args) => kept.push(await BODIES[task].body(args));
await run({{
  prepare: async () => console.log("this is no answer"),
  enqueue,
  enqueueMany: (task, many) => Promise.all(many.map((args) => enqueue(task, args))),
  isSettled: async () => true,
  counts: async () => ({{ done: kept.length, failed: 0, left: 0 }}),
  results: async () => kept,
}});
"""


def node(folder: Path, program: str, jobs: int, said: str = "") -> tuple[list[str], Ledger]:
    """The lines that it says, and what it has written."""
    ledger = Ledger.make(folder / "ledger", jobs)
    file = folder / "program.mjs"
    file.write_text(program)
    assert NODE is not None
    done = subprocess.run(
        [NODE, file, "client"], input=said, capture_output=True, text=True, check=True,
        env=os.environ | {"BENCH_LEDGER": str(folder / "ledger")},
    )  # fmt: skip
    return done.stdout.splitlines(), ledger


def test_it_writes_the_same_ledger(tmp_path: Path) -> None:
    before = time.monotonic_ns()
    _, ledger = node(
        tmp_path,
        f"{BODIES} const run = (number) => BODIES.noop.body({{ number }});"
        "[7, 3, 4, 5].forEach(run); setTimeout(() => [4, 9].forEach(run), 20);",
        jobs=10,
    )
    assert ledger.runs.tolist() == [0, 0, 0, 1, 2, 1, 0, 1, 0, 1]
    begun = [number for number in range(10) if ledger.started[number]]
    assert begun == [3, 4, 5, 7, 9]
    assert all(before < ledger.started[number] < time.monotonic_ns() for number in begun)
    # The first time counts, and is not that of the writing: 7 began before 3, and 4 before 9.
    assert ledger.started[7] < ledger.started[3] < ledger.started[4] < ledger.started[9]


def test_tasks_that_keep_it_busy_are_not_written_only_afterwards(tmp_path: Path) -> None:
    """Else the harness would take jobs that are over for jobs that are still to begin."""
    said, _ = node(
        tmp_path,
        f"{BODIES} import {{ readFileSync }} from 'node:fs';"
        "const wait = (end) => { while (performance.now() < end); };"
        "for (const number of [0, 1]) {"
        "  BODIES.noop.body({ number }); wait(performance.now() + 20); }"
        "const bytes = readFileSync(process.env.BENCH_LEDGER);"
        "console.log(bytes.readBigUInt64LE(4 * 8) > 0n);",
        jobs=2,
    )
    assert said == ["true"]


def test_its_jobs_sleep_as_long_as_those_in_python(tmp_path: Path) -> None:
    said, _ = node(
        tmp_path,
        f"import {{ sleepMilliseconds }} from '{INSIDE}/bench_peer_node/tasks.mjs';"
        "for (const number of [0, 1, 2, 1000, 99999]) console.log(sleepMilliseconds(number));",
        jobs=1,
    )
    expected = [1000 * sleep_seconds(number) for number in (0, 1, 2, 1000, 99999)]
    assert [float(line) for line in said] == pytest.approx(expected)


def test_it_answers_as_a_client_in_python_does(tmp_path: Path) -> None:
    requests = [
        {"verb": "prepare"},
        {"verb": "fill", "task": "large", "first": 0, "count": 3},
        {"verb": "one_at_a_time", "task": "large", "first": 3, "count": 2},
        {"verb": "steady", "task": "large", "first": 5, "count": 10, "rate": 1000},
        {"verb": "transactions", "task": "noop", "first": 0, "count": 1},
        {"verb": "is_settled"},
        {"verb": "check", "task": "large", "count": 15},
        {"verb": "single", "task": "none", "first": 0, "count": 1},
    ]
    said, ledger = node(tmp_path, PEER, 15, "".join(json.dumps(each) + "\n" for each in requests))
    prepared, filled, alone, steady, transactions, settled, checked, failed = map(json.loads, said)
    assert prepared == alone == {"answer": None}
    assert filled["answer"] > 0
    assert 0.008 < steady["answer"] < 5
    assert "unsupported" in transactions
    assert settled == {"answer": True}
    assert checked == {"answer": {"done": 15, "failed": 0, "left": 0, "results": 15}}
    assert "TypeError" in failed["error"]
    assert ledger.runs.tolist() == [1] * 15
    assert all(0 < c <= r for c, r in zip(ledger.called[3:], ledger.returned[3:], strict=True))
