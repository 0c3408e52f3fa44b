"""`python -m bench.reload`: its books, not its rates, which tell nothing of a busy machine."""

import re
import subprocess
import sys
from array import array
from pathlib import Path

import pytest
from rooted import import_from_root

import_from_root("bench")

from bench.reload.measure import Counts, count  # noqa: E402

ROOT = Path(__file__).parents[2]


def test_no_job_is_lost_or_run_twice_by_reloads_at_full_speed() -> None:
    command = [sys.executable, "-m", "bench.reload", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    table = dict(re.findall(r"^(\S.*?)  +(\S.*)$", done.stdout, re.MULTILINE))
    assert int(table["reloads, one after the other"]) == 3
    assert table["executions"] == table["jobs enqueued"]
    for wrong in ("jobs lost", "jobs run twice", "jobs failed, or not at their first attempt"):
        assert table[wrong] == "0"


@pytest.mark.parametrize(
    ("ends", "ran", "lost", "repeated", "failed"),
    [
        ([(7, True), (8, True), (9, True)], [2, 0, 1], 0, 0, 0),
        ([(7, True), (8, True)], [0, 1, 2], 1, 0, 0),
        ([(7, True), (8, True), (9, True)], [0, 1], 1, 0, 0),
        ([(7, True), (8, True), (9, True)], [0, 1, 2, 1], 0, 1, 0),
        ([(7, True), (8, True), (9, True), (9, True)], [0, 1, 2], 0, 1, 0),
        ([(7, True), (8, True), (9, True)], [0, 1, 2, 3], 0, 1, 0),
        ([(7, True), (8, False), (9, True)], [0, 1, 2], 0, 0, 1),
    ],
    ids=["right", "no outcome", "not run", "run twice", "two outcomes", "unknown job", "failed"],
)
def test_what_is_wrong_is_counted(
    ends: list[tuple[int, bool]], ran: list[int], lost: int, repeated: int, failed: int
) -> None:
    assert count([7, 8, 9], ends, array("q", ran)) == Counts(3, len(ran), lost, repeated, failed)
