"""The template: imports the user's app once, and forks warm subworkers from itself.

    python -m wsup.subworkers.template SUPERVISOR_PID CHANNEL_FD

It is exec'ed, never forked from the supervisor, so that no state of the supervisor (its database
connections above all) is in reach of user code. It forks twice, so that the supervisor becomes the
subworkers' parent and the template may die without them.
"""

import gc
import io
import os
import select
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

#: To fork a subworker, which is given these descriptors.
Order = tuple[wire.Fork, list[int]]


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
        while orders := self._await_forks(families):
            forked = fork_twice(len(orders))
            if forked.which is not None:
                families.close()
                order = orders.pop(forked.which)
                self._become_subworker(app, load, order, orders, forked.between)
            self._tell(orders, forked.pids, families)
        families.end_with_supervisor()
        os._exit(0)  # whatever threads and exit handlers the app has

    def _await_forks(self, families: Families) -> list[Order]:
        """All that are ordered by now; none once the supervisor is gone."""
        orders: list[Order] = []
        is_more = families.await_message(self._channel.fileno())
        more = select.poll()
        more.register(self._channel.fileno(), select.POLLIN)
        while is_more:
            order, fds = self._receive()
            if not isinstance(order, wire.Fork):
                break
            orders.append((order, fds))
            is_more = bool(more.poll(0))
        return orders

    def _tell(self, orders: list[Order], pids: list[int], families: Families) -> None:
        _close_all(orders)
        for (order, _), pid in zip(orders, pids, strict=False):
            families.add(pid)
            try:
                self._channel.send(wire.encode(wire.Forked(order.index, pid)))
            except OSError:
                return  # the supervisor is gone: so says the next look
        if len(pids) < len(orders):
            raise OSError(f"of {len(orders)} subworkers {len(pids)} could be forked")

    def _become_subworker(
        self, app: RunnableApp, load: wire.Load, order: Order, others: list[Order], between: int
    ) -> NoReturn:
        status = 70
        try:
            self._channel.close()
            _close_all(others)
            fork, fds = order
            await_adoption(between)
            die_with(self._supervisor)
            os.setpgid(0, 0)
            memory = SharedMemory(
                Descriptors(*lift(fds)), places=load.concurrency + 1, ring_bytes=load.ring_bytes
            )
            memory.seal()
            status = run_subworker(app, fork.index, memory, load)
        except BaseException:
            traceback.print_exc()
        finally:
            # Never back into the template's stack, nor through its atexit handlers.
            os._exit(status)


def _close_all(orders: list[Order]) -> None:
    for _, fds in orders:
        for fd in fds:
            os.close(fd)


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
    # What is printed is shown at once, by line, as in a terminal: what waited in a buffer would be
    # shown by each fork, or by none.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    (fd,) = lift([channel_fd])
    note_known_sockets()
    Template(supervisor, Channel(socket.socket(fileno=fd))).run()


if __name__ == "__main__":
    main()
