"""Each example, as its docstring says to run it: a real supervisor, and the program beside it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from running import PATIENCE, Supervisor, until

EXAMPLES = Path(__file__).parents[2] / "examples"

#: What each program prints, as a regular expression.
PRINTED = {
    "thumbnails": r"""
        40 pictures are small now, the first one Size\(width=40, height=30\)
        late\.pgm: Size\(width=40, height=30\), as soon as it was there
        broken\.pgm: broken\.pgm is no PGM
        """,
    "prices": r"""
        400 prices, 3486\.00 in all
        \d\.\d s instead of the 20 s that one after the other takes
        """,
    "measures": r"""
        measured, again 0\.5 s later,
        and again 0\.5 s later
        """,
    "index": r"""
        5 edits, 1 job
        version 5 is in the index
        a nightly run is asked for: new job \d+
        and again: job \d+ is there already
        """,
    "codes": r"""
        code 1234 was sent
        code 9876 came too late: not started by .*
        the report has failed: (the printer is off \(not tried again: )?the deadline.*
        """,
    "invoices": r"""
        paused: \{'ready': 6\}
        5 jobs of invoices\.bill failed: FileNotFoundError
        1 jobs of invoices\.bill failed: ValueError
        5 jobs would run again, 5 do
        customer 1 owes 400\.00
        customer 6 owes 160\.00
        1 job purged
        """,
    "visits": r"""
        visit 1
        there is no job 1
        written down: /index\.html
        """,
    "book": r"""
        to the publisher: your book has 13 words
        13 words in 3 chapters
        to the publisher: your book is not finished
        no sum: its parent, job \d+, has failed
        """,
    "pages": r"""
        went on at page 31 after it was killed
        attempt 2: 100%, page 100 of 100
        """,
    "bills": r"""
        a negative amount; before that:
        stdout -: billing order 2
        shop\.bills INFO: -1\.00
        shop\.bills ERROR: who owes whom\?
        """,
    "accounts": r"""
        ada: 1, 3, 6, 10, 15
        ben: 1, 3, 6, 10, 15
        cleo: 1, 3, 6, 10, 15
        and the audit: 0
        """,
    "parcels": r"""
        12 parcels, two at a time, 0\.05 s each: the last one after (0\.[2-9]|[1-9]\.).*
        15 calls, five of them at once: the last one after \d.*
        5 labels, one after the other: the last one after (0\.0[3-9]|0\.[1-9]|[1-9]\.).*
        """,
    "payments": r"""
        30 jobs have moved 3000 cents
        Ada has 3000 less
        30 balances were seen, the highest is 3000 above the first
        """,
    "readings": r"""
        1000 readings are stored
        one is not: -300\.0 degrees
        """,
    "newsletters": r"""
        tenant 2 had to wait for few of 500 letters
        """,
    "orders": r"""
        to ada@example\.org: thank you for order 1
        order rolled back: no raincoats left
        and so is its e-mail: there is no job 2
        """,
    "articles": r"""
        article 1 has 3 words
        fish is in \[\(1,\)\]
        article 1 has 2 words now
        fish is in \[\]
        """,
    "transfers": r"""
        7: booked to account 7 at attempt 2
        seven: cancelled, there is no account 'seven'
        13: failed 3 times, the bank is busy
        """,
}

#: What else its docstring says to start the supervisor with.
FLAGS = {"visits": ("--retention-succeeded", "1", "--poll", "1")}


@pytest.fixture
def folder(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[Path]:
    """A folder with the example that the test is about, and a supervisor that runs its jobs."""
    name = request.param
    (tmp_path / f"{name}.py").write_text((EXAMPLES / f"{name}.py").read_text())
    flags = ("--subworkers", "2", *FLAGS.get(name, ()))
    supervisor = Supervisor(database, tmp_path, f"{name}:app", *flags)
    try:
        supervisor.start()
        yield tmp_path
        assert supervisor.stop() == 0, supervisor.log
        assert "Traceback" not in supervisor.log
    finally:
        supervisor.kill()


@contextmanager
def started(folder: Path, database: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The example's program; killed at the end if it still runs then."""
    (program,) = folder.glob("*.py")
    with subprocess.Popen(
        [sys.executable, program.name, *arguments],
        cwd=folder,
        env={**os.environ, "WSUP_DATABASE": database},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_every_example_is_run_here() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.py")} == {*PRINTED, "web"}


@pytest.mark.parametrize("folder", PRINTED, indirect=True)
def test_an_example(folder: Path, database: str) -> None:
    with started(folder, database) as program:
        output, errors = program.communicate(timeout=PATIENCE)
    assert (program.returncode, errors) == (0, "")
    (name,) = (file.stem for file in folder.glob("*.py"))
    expected = [line.strip() for line in PRINTED[name].strip().splitlines()]
    printed = output.splitlines()
    assert len(printed) == len(expected), output
    for line, pattern in zip(printed, expected, strict=True):
        assert re.fullmatch(pattern, line), f"{line!r} is not {pattern!r}"


@pytest.mark.parametrize("folder", ["web"], indirect=True)
def test_the_web_server(folder: Path, database: str) -> None:
    with started(folder, database, "0") as program:
        assert program.stdout is not None
        site = program.stdout.readline().split()[-1]
        code, posted = ask(f"{site}/counts", b"To be or not to be")
        assert (code, list(posted)) == (202, ["job"])
        counts = until(lambda: result(f"{site}/counts/{posted['job']}"), "there is a result")
        assert counts == {"to": 2, "be": 2, "or": 1, "not": 1}
        assert ask(f"{site}/counts/0")[0] == 404
        assert ask(f"{site}/counts/nonsense")[0] == 404
        assert ask(f"{site}/counts", b"word " * 30_000)[0] == 413


def ask(url: str, body: bytes | None = None) -> tuple[int, dict[str, int]]:
    """The status and the JSON that are answered."""
    try:
        with urlopen(url, body, timeout=PATIENCE) as answer:  # noqa: S310  (our own server)
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def result(url: str) -> dict[str, int] | None:
    code, body = ask(url)
    assert code in (200, 202)
    return body if code == 200 else None
