"""The template: imports the user's app once, and forks warm subworkers from itself.

    python -m wsup.subworkers.template SUPERVISOR_PID CHANNEL_FD

It is exec'ed, never forked from the supervisor, so that no state of the supervisor (its database
connections above all) is in reach of user code. It forks twice, so that the supervisor becomes the
subworkers' parent and the template may die without them.
"""

import gc
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

from . import wire
from .channel import LARGEST, Channel
from .context import LONGEST_WAIT
from .contract import RunnableApp
from .descriptors import lift
from .families import Families
from .kinship import await_adoption, die_with, fork_twice, outlive_parent
from .load import AppNotLoaded, fork_hazards, load_app, note_known_sockets, prepare
from .memory import Descriptors, SharedMemory
from .subworker import run_subworker
from .trust import ATTENTION, STACKS

#: How many of a task's retry delays the supervisor is told; the last one counts for all later.
MOST_DELAYS = 20


class Template:
    def __init__(self, supervisor: int, channel: Channel) -> None:
        self._supervisor = supervisor
        self._channel = channel

    def run(self) -> None:
        order = self._receive()[0]
        if not isinstance(order, wire.Load):
            return
        try:
            app = load_app(order.app)
            prepare(app)
            loaded = _loaded(app, order.log_bytes)
        except AppNotLoaded as error:
            report = str(error).encode("utf-8", "backslashreplace").decode()
            self._channel.send(wire.encode(wire.NotLoaded(report[-60_000:])))
            return
        self._channel.send(loaded)
        # What lives now is shared by all subworkers: freeze it, so that no collector in one of
        # them writes to its pages and makes them private.
        gc.collect()
        gc.freeze()
        self._fork_on_demand(app, order)

    def _receive(self) -> tuple[wire.Load | wire.Fork | None, list[int]]:
        message, fds = self._channel.receive()
        return (wire.decode_template_order(message) if message else None), fds

    def _fork_on_demand(self, app: RunnableApp, load: wire.Load) -> None:
        families = Families(self._supervisor)
        outlive_parent()
        while families.await_message(self._channel.fileno()):
            order, fds = self._receive()
            if not isinstance(order, wire.Fork):
                break
            pid, between = fork_twice()
            if pid == 0:
                families.close()
                self._become_subworker(app, load, order.index, fds, between)
            families.add(pid)
            for fd in fds:
                os.close(fd)
            try:
                self._channel.send(wire.encode(wire.Forked(order.index, pid)))
            except OSError:
                break
        families.end_with_supervisor()
        os._exit(0)  # whatever threads and exit handlers the app has

    def _become_subworker(
        self, app: RunnableApp, load: wire.Load, index: int, fds: list[int], between: int
    ) -> NoReturn:
        status = 70
        try:
            self._channel.close()
            await_adoption(between)
            die_with(self._supervisor)
            os.setpgid(0, 0)
            memory = SharedMemory(
                Descriptors(*lift(fds)), places=load.concurrency + 1, ring_bytes=load.ring_bytes
            )
            memory.seal()
            status = run_subworker(app, index, memory, load)
        except BaseException:
            traceback.print_exc()
        finally:
            # Never back into the template's stack, nor through its atexit handlers.
            os._exit(status)


def _loaded(app: RunnableApp, log_bytes: int) -> bytes:
    """What the supervisor is to know of the app. Raises AppNotLoaded."""
    schedules = [schedule.info() for schedule in app.schedules.values()]
    queues = [order.info() for order in app.queue_orders.values()]
    limits = [limit.info(kind, name) for (kind, name), limit in app.limits.items()]
    tasks = _task_table(app, log_bytes)
    message = wire.encode(wire.Loaded(tasks, fork_hazards(), schedules, queues, limits))
    if len(message) > LARGEST:
        raise AppNotLoaded(
            f"the app's tasks and schedules take {len(message):,} bytes to name, the limit is "
            f"{LARGEST:,}: give schedules a key as their argument, instead of what it stands for"
        )
    return message


def _task_table(app: RunnableApp, log_bytes: int) -> list[wire.TaskInfo]:
    return [
        wire.TaskInfo(
            t.name, t.queue, t.is_async, t.retries, t.timeout,
            [
                min(t.backoff_seconds(attempt), LONGEST_WAIT)
                for attempt in range(1, min(t.retries, MOST_DELAYS) + 1)
            ],
            log_bytes > 0 and t.capture_level is not None,
            t.batch, t.batch_wait,
        )
        for t in app.tasks.values()
    ]  # fmt: skip


def main() -> None:
    supervisor, channel_fd = int(sys.argv[1]), int(sys.argv[2])
    sys.argv[1:] = []
    die_with(supervisor)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Inherited by the subworkers: who has no use for it (yet) must not die of it.
    for signum in (ATTENTION, STACKS):
        signal.signal(signum, signal.SIG_IGN)
    (fd,) = lift([channel_fd])
    note_known_sockets()
    Template(supervisor, Channel(socket.socket(fileno=fd))).run()


if __name__ == "__main__":
    main()
