"""Tasks that do to their process, and to wsup, what tasks should not do.

Twice: in an app of sync tasks only, which runs in one thread, and in one that has async tasks, too.
"""

import asyncio
import ctypes
import gc
import locale
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

from poison import ERRORS, RESULTS

from wsup import App, current_job

sync, both = App(), App()
HOARD: list[bytes] = []


def task(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for app in (sync, both):
            app.task(name=function.__name__, **options)(function)
        return function

    return register


def only_async(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        both.task(name=function.__name__, **options)(function)
        return function

    return register


@sync.on_subworker_start
@both.on_subworker_start
def begin() -> None:
    if Path("no-more").exists():
        os._exit(9)
    if Path("unfit").exists():
        raise RuntimeError("unfit")


@task()
def here() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "folder": str(Path.cwd()),
        "locale": locale.setlocale(locale.LC_ALL),
        "attempt": current_job().attempt,
    }


@task()
def note(path: str) -> int:
    """One line, in one write, so that lines of several processes don't mix."""
    line = f"{current_job().id} {current_job().attempt} {os.getpid()}\n"
    with Path(path).open("a") as file:
        file.write(line)
    return os.getpid()


@task()
def wait_for_file(path: str, started: str) -> int:
    note(started)
    while not Path(path).exists():
        time.sleep(0.005)
    return os.getpid()


@only_async()
async def wait_async(path: str, started: str) -> int:
    note(started)
    while not Path(path).exists():
        await asyncio.sleep(0.005)
    return current_job().attempt


# results and errors -----------------------------------------------------------------------------


@task()
def give(what: str) -> object:
    return RESULTS[what]()


@task()
def fail(how: str) -> Never:
    raise ERRORS[how]()


@only_async()
async def fail_async(how: str) -> Never:
    await asyncio.sleep(0)
    raise ERRORS[how]()


# disorder ---------------------------------------------------------------------------------------


def close_descriptors(most: int) -> None:
    os.closerange(0, most)


def write_everywhere() -> None:
    """Into every descriptor there is, whatever it may be."""
    for entry in Path("/proc/self/fd").iterdir():
        for act in (
            lambda fd: os.eventfd_write(fd, 2**64 - 2),
            lambda fd: os.write(fd, b"\n\xff\xff\xff\xff\xff\xff\n" * 1024),
            lambda fd: os.pwrite(fd, b"\xff" * 8, 4096),
            lambda fd: os.ftruncate(fd, 0),
        ):
            try:
                act(int(entry.name))
            except (OSError, ValueError):
                pass
    time.sleep(0.2)  # the supervisor rings meanwhile, for the jobs behind this one


def leave_threads() -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=False).start()
    threading.Thread(target=time.sleep, args=(1000,), daemon=False).start()
    gc.unfreeze()


def no_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, resource.getrlimit(resource.RLIMIT_AS)[1]))
    HOARD.append(bytes(1 << 30))


MESSES: dict[str, Callable[[], object]] = {
    "close low": lambda: close_descriptors(1024),
    "close all": lambda: close_descriptors(65_536),
    "alarm": lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN),
    "every signal": lambda: [
        signal.signal(n, signal.SIG_DFL)
        for n in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    ],
    "blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM}),
    "running loop": lambda: asyncio._set_running_loop(asyncio.new_event_loop()),
    "stdout": lambda: os.dup2(os.open("/dev/null", os.O_WRONLY), 1),
    "folder": lambda: os.chdir("/"),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "write": write_everywhere,
    "threads": leave_threads,
    "memory": no_memory,
}
#: Seen however short the task is; what the others do, if it takes a tenth of a millisecond.
AT_ONCE = {"alarm", "every signal", "blocked", "running loop", "folder"}


@task()
def mess(how: str) -> int:
    MESSES[how]()
    if how not in AT_ONCE:
        time.sleep(0.001)
    return os.getpid()


@task()
def fork(how: str) -> int:
    """The child comes back from the task, as if it were the subworker."""
    if os.fork() == 0:
        if how == "exit":
            sys.exit(7)
        if how == "raise":
            raise RuntimeError("in the child")
        return -1
    return os.wait()[1] >> 8


@only_async()
async def fork_async(how: str) -> int:
    if how == "await":
        never = asyncio.get_running_loop().create_future()
        if os.fork() == 0:
            await never
    return fork(how) if how != "await" else os.wait()[1] >> 8  # noqa: ASYNC222


@only_async()
async def stop_loop() -> None:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(1000)


# time and death ---------------------------------------------------------------------------------


def never_return(library: ctypes.CDLL) -> None:
    """Wait in C code, which no signal interrupts."""
    mutex = ctypes.create_string_buffer(128)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


@task(timeout=0.2, retries=1, backoff=0.01)
def overrun(how: str, started: str = "") -> None:
    if started:
        with subprocess.Popen(["sleep", "1000"]) as child:
            Path(started).write_text(f"{os.getpid()} {child.pid}")
            never_return(ctypes.CDLL(None))
    elif how == "sleep":
        time.sleep(1000)
    elif how == "catch":
        while True:
            try:
                time.sleep(1000)
            except Exception:  # noqa: S112
                continue
    elif how == "c code":
        never_return(ctypes.CDLL(None))
    else:
        never_return(ctypes.PyDLL(None))  # holding the GIL: no thread of it goes on


@only_async(timeout=0.2, retries=1, backoff=0.01)
async def overrun_async(how: str) -> None:
    while True:
        try:
            await asyncio.sleep(0 if how == "block" else 1000)
            time.sleep(1000 if how == "block" else 0)  # noqa: ASYNC251
        except asyncio.CancelledError:
            if how != "catch":
                raise


@task()
def die(how: str, once: str = "") -> str:
    if once and Path(once).exists():
        return "alive"
    if once:
        Path(once).touch()
    if how == "segv":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.Signals[how])
    time.sleep(1000)
    return "never"


@task(retries=1, backoff=0.01)
def die_sending(size: int, once: str) -> str:
    """Killed while its result goes through the ring."""
    main = threading.main_thread().ident or 0

    def is_sending() -> bool:
        frame = sys._current_frames().get(main)
        while frame is not None and frame.f_code.co_name != "put":
            frame = frame.f_back
        return frame is not None

    def watch() -> None:
        while not is_sending():
            time.sleep(0)
        os.kill(os.getpid(), signal.SIGKILL)

    if not Path(once).exists():
        Path(once).touch()
        threading.Thread(target=watch, daemon=True).start()
    return "x" * size


@task()
def hoard(size: int) -> int:
    HOARD.append(b"x" * size)
    return os.getpid()
