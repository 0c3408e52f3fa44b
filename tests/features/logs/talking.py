"""Tasks that print and log in every way, some in an app of sync ones only, some beside a loop."""

import asyncio
import gc
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wsup import App

sync, both = App(capture_logs="DEBUG"), App(capture_logs="DEBUG")
log = logging.getLogger("shop.orders")


def task(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for app in (sync, both):
            app.task(name=function.__name__, **options)(function)
        return function

    return register


def say(name: str) -> None:
    print(f"{name} prints")
    sys.stderr.write(f"{name} writes ")
    sys.stderr.write("in two parts\n")
    log.debug("%s logs", name)
    try:
        raise ValueError(f"{name} fails")
    except ValueError:
        log.exception("caught")
    warnings.warn("it is late", stacklevel=2)
    sys.stdout.buffer.write(b"bytes of \xff\n")
    print("bar 1 %\rbar 2 %\r", end="")
    print("no end", end="")


@task()
def talk(name: str) -> None:
    say(name)


@both.task(name="talk_async")
async def talk_async(name: str) -> None:
    await asyncio.sleep(0.01)
    say(name)
    await asyncio.sleep(0.01)


@task(capture_logs="ERROR")
def talk_of_errors(name: str) -> None:
    say(name)


@task(capture_logs=False)
def silent(name: str) -> None:
    say(name)


@task()
def in_threads(name: str) -> None:
    thread = threading.Thread(target=print, args=(f"{name} in a thread",))
    thread.start()
    thread.join()


@both.task(name="in_threads_async")
async def in_threads_async(name: str) -> None:
    await asyncio.to_thread(print, f"{name} in a thread")


@task()
def wait_in_thread(path: str) -> None:
    """The main thread does nothing but wait."""

    def work() -> None:
        print("it has begun")
        while not Path(path).exists():
            time.sleep(0.005)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@both.task(name="wait_async")
async def wait_async(path: str) -> None:
    print("it has begun")
    while not Path(path).exists():
        await asyncio.sleep(0.005)


@task()
def in_c(name: str) -> None:
    print("before")
    os.write(1, f"{name} from C".encode() + b"\xff\n")
    print("between")
    os.write(2, b"and on stderr\n")
    subprocess.run(["echo", "of a program"], check=True)


@task()
def crash() -> None:
    print("printed")
    os.write(2, b"C code has given up\n")
    os.kill(os.getpid(), signal.SIGKILL)


@task()
def fork() -> None:
    """What a forked process prints is the job's, too, and does not mix with what it sends."""
    pid = os.fork()
    if pid == 0:
        for _ in range(300):
            print("from the child", flush=True)
        os._exit(0)
    for _ in range(300):
        print("from the parent")
    os.waitpid(pid, 0)


@task()
def odd() -> None:
    print("nul \0, lone \ud800, escape \x1b[31m, \u2028")
    log.warning("also here: \0 \udfff")


@task()
def endless(lines: int, size: int) -> None:
    for n in range(lines):
        print(f"{n} " + "x" * size)


@task(retries=1, backoff=0.01)
def fail() -> None:
    print("before it fails")
    raise ValueError("no luck")


class Loud:
    def __del__(self) -> None:
        print("a destructor prints")


@task()
def garbage(n: int) -> None:
    """Objects whose destructors print, whenever the collector comes by: also amid a print."""
    before = gc.get_threshold()
    for _ in range(n):
        loud = Loud()
        loud.itself = loud  # type: ignore[attr-defined]
        gc.set_threshold(random.randrange(1, 20))
        print("x" * 50)
    gc.set_threshold(*before)


@task()
def slowly(lines: int) -> None:
    for n in range(lines):
        print(n)
        time.sleep(0.01)


@both.task(name="large_async")
async def large_async(size: int) -> None:
    print("x" * size)
