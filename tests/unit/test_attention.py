"""A subworker looks at its orders amid a task, whenever they come."""

import signal
from collections.abc import Iterator

import pytest

from wsup import App
from wsup.subworkers import wire
from wsup.subworkers.attempt import Attempts
from wsup.subworkers.memory import SharedMemory
from wsup.subworkers.ring import Sender
from wsup.subworkers.subworker import SyncRunner
from wsup.subworkers.trust import ATTENTION

app = App()


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGALRM, ATTENTION)}
    memory = SharedMemory.create(2, 1 << 16)
    yield memory
    for signum, handler in handlers.items():
        signal.signal(signum, handler)
    memory.close()


def test_an_order_that_comes_while_another_one_is_read(
    memory: SharedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signal is handled amid that of the first, when the ring has been looked at already."""
    attempts, orders = Attempts(app, memory.board, 0), Sender(memory.jobs)
    SyncRunner(attempts, memory, Sender(memory.results))
    job = wire.Job(1, 2, 1, "work", "default", "{}")
    coming = [wire.Cancel(job.claim, job.id)]
    decode_order = wire.decode_order

    def decode(message: memoryview) -> object:
        if coming:
            orders.put(wire.encode(coming.pop()))
            signal.raise_signal(ATTENTION)
        return decode_order(message)

    @app.task(name="work")
    def work() -> None:
        orders.put(wire.encode(wire.Cancel(job.claim, 3)))
        signal.raise_signal(ATTENTION)

    monkeypatch.setattr(wire, "decode_order", decode)
    assert isinstance(attempts.run_sync(job), wire.Cancelled)
