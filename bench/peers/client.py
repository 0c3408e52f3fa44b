"""The harness's end of a peer's client process; the other is inside/bench_peer/program.py."""

from __future__ import annotations

import json
import select
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

from .errors import PeerFailed, Unsupported

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

#: Seconds to answer. Slow systems enqueue a few thousand jobs a second.
PATIENCE = 300.0
#: Lines of a log that are shown.
SHOWN = 12


class Client:
    """`with Client(command, environment, log) as client:`, and `client.ask("prepare")`."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=environment["BENCH_FOLDER"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, verb: str, **request: object) -> Any:
        """What it answers. Raises Unsupported, or PeerFailed with the end of its log."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"verb": verb, **request}).encode() + b"\n")
            self._process.stdin.flush()
            reply = json.loads(self._line(verb))
        except (BrokenPipeError, EOFError):
            raise PeerFailed(f"the client ended at {verb}:\n{tail(self._log)}") from None
        if "unsupported" in reply:
            raise Unsupported(reply["unsupported"])
        if "error" in reply:
            raise PeerFailed(f"the client failed at {verb}:\n{last_lines(reply['error'])}")
        return reply["answer"]

    def _line(self, verb: str) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        while b"\n" not in self._read:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise PeerFailed(f"the client has not answered {verb} within {PATIENCE:g} s")
            # read1: what is there, without waiting for more.
            if not (chunk := self._process.stdout.read1(65536)):  # type: ignore[attr-defined]
                raise EOFError
            self._read += chunk
        line, _, self._read = self._read.partition(b"\n")
        return line


def tail(log: Path) -> str:
    return last_lines(log.read_text(errors="replace"))


def last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-SHOWN:])
