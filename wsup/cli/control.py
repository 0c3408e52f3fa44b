"""How the commands reach the supervisor of this folder: its pid file and its control socket.

`wsup.pid` holds a JSON line with its pid and is flocked while it lives. `wsup.sock` takes one JSON
object a line, {"verb": …}, and answers each with {"ok": true, …} or {"ok": false, "error": …}.
"""

import fcntl
import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from wsup.config.errors import UsageError, WsupError

PID_FILE, SOCKET = "wsup.pid", "wsup.sock"
#: A supervisor answers status within milliseconds, unless the machine is very busy.
ANSWER_SECONDS = 5.0
#: The file is empty while it is rewritten, for less than a millisecond.
REWRITE_TRIES, REWRITE_SECONDS = 20, 0.01


class NoSupervisor(UsageError):
    """No supervisor runs here."""

    def __init__(self, run_dir: Path) -> None:
        where = run_dir.absolute() / PID_FILE
        super().__init__(
            f"no supervisor runs here ({where}): go to its folder, or name it with --run-dir"
        )


def ask(run_dir: Path, verb: str, timeout: float = ANSWER_SECONDS) -> dict[str, Any]:
    """The supervisor's answer to `verb`.

    Raises NoSupervisor, or WsupError if it says no, or nothing within `timeout` seconds.
    """
    try:
        with _connected(run_dir, timeout) as client:
            client.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            with client.makefile("rb") as answers:
                line = answers.readline()
        answer = json.loads(line or b"null")
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise NoSupervisor(run_dir) from None
    except TimeoutError:
        raise WsupError(f"the supervisor did not answer {verb} within {timeout:g} s") from None
    except OSError as error:
        raise WsupError(f"{run_dir / SOCKET}: {error.strerror or error}") from error
    except ValueError as error:
        raise WsupError(f"the supervisor's answer to {verb} is not JSON: {error}") from error
    if not isinstance(answer, dict):
        raise WsupError(f"the supervisor ended before it answered {verb}")
    if not answer.get("ok"):
        raise WsupError(str(answer.get("error") or f"the supervisor refused {verb}"))
    return answer


def _connected(run_dir: Path, timeout: float) -> socket.socket:
    # By way of /proc, because the path of a socket may have only 107 bytes.
    folder = os.open(run_dir, os.O_PATH | os.O_DIRECTORY)
    try:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            client.settimeout(timeout)
            client.connect(f"/proc/self/fd/{folder}/{SOCKET}")
        except BaseException:
            client.close()
            raise
        return client
    finally:
        os.close(folder)


def end(run_dir: Path, number: signal.Signals, timeout: float) -> int:
    """Send the supervisor a signal and wait until it is gone; returns the pid that it had.

    Raises NoSupervisor, or WsupError if it may not be signalled or still runs after `timeout` s.
    """
    pid = supervisor_pid(run_dir)
    if pid is None:
        raise NoSupervisor(run_dir)
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return pid
    try:
        # Only now can the pid not become another's; it was right if the lock is still held.
        if supervisor_pid(run_dir) != pid:
            return pid
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, number)
        waiting = select.poll()
        waiting.register(process, select.POLLIN)
        if not waiting.poll(timeout * 1000):
            raise WsupError(
                f"the supervisor {pid} still runs after {timeout:g} s: "
                "wait longer (--timeout), or end its jobs too (--now)"
            )
    except PermissionError:
        raise WsupError(f"the supervisor {pid} belongs to another user: use sudo") from None
    finally:
        os.close(process)
    return pid


def supervisor_pid(run_dir: Path) -> int | None:
    """The pid of the supervisor of this folder while it lives; None if it doesn't.

    Raises WsupError if the pid file can't be read.
    """
    try:
        file = (run_dir / PID_FILE).open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise WsupError(f"{run_dir / PID_FILE}: {error.strerror}") from error
    with file:
        for _ in range(REWRITE_TRIES):
            try:
                # Shared, so that two who look don't take each other for a supervisor.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                pass
            file.seek(0)
            with suppress(ValueError, TypeError, KeyError):
                return int(json.loads(file.readline())["pid"])
            time.sleep(REWRITE_SECONDS)
    raise WsupError(f"{run_dir / PID_FILE} holds no pid: try again")
