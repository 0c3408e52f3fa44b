"""The ring between two processes: nothing lost, nothing torn, whoever is killed when."""

import os
import random
import signal
import struct
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from wsup.subworkers.memory import SharedMemory
from wsup.subworkers.ring import (
    FRAME,
    HEADER_BYTES,
    Receiver,
    RingClosed,
    RingDamaged,
    RingFull,
    Sender,
)

RING_BYTES = 65536


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    made = SharedMemory.create(places=2, ring_bytes=RING_BYTES)
    yield made
    made.close()


def child(work: object, *args: object) -> int:
    """Run `work` in a forked process; returns its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(*args)  # type: ignore[operator]
            status = 0
        finally:
            os._exit(status)
    return pid


def message(number: int) -> bytes:
    """A message that tells by itself whether it arrived whole."""
    size = random.Random(number).choice((0, 1, 7, 100, 5000, 70_000))
    return struct.pack("<Q", number) + bytes([number % 251]) * size


def test_messages_arrive_whole_and_in_order(memory: SharedMemory) -> None:
    """Of all sizes, larger than the ring too, between two processes."""
    count = 3000
    pid = child(lambda: Sender(memory.jobs).put_many(message(n) for n in range(count)))
    receiver = Receiver(memory.jobs)
    got: list[bytes] = []
    while len(got) < count:
        got += [bytes(part) for part in receiver.get_many(timeout=10)]
    assert got == [message(n) for n in range(count)]
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_both_directions_full_do_not_deadlock(memory: SharedMemory) -> None:
    """The child sends more than its ring holds before it reads; the parent never waits to send."""
    big = b"x" * (5 * RING_BYTES)

    def echo() -> None:
        Sender(memory.results).put(big)
        got = Receiver(memory.jobs).get(timeout=10)
        assert got == big

    sender, receiver = Sender(memory.jobs), Receiver(memory.results)
    assert not sender.offer(big)
    pid = child(echo)
    assert receiver.get(timeout=10) == big
    while not sender.flush():
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_killed_sender_leaves_only_whole_messages(memory: SharedMemory) -> None:
    def send_for_ever() -> None:
        sender = Sender(memory.jobs)
        number = 0
        while True:
            sender.put(message(number))
            number += 1

    receiver = Receiver(memory.jobs)
    pid = child(send_for_ever)
    got = []
    while len(got) < 200:
        got += [bytes(part) for part in receiver.get_many(timeout=10)]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while parts := receiver.get_nowait():
        got += [bytes(part) for part in parts]
    assert got == [message(n) for n in range(len(got))]


def test_a_finished_result_survives_its_sender(memory: SharedMemory) -> None:
    """It was put without a bell, and the process is dead: it is there all the same."""

    def put_and_die() -> None:
        Sender(memory.results).put(b"done", bell=False)
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(child(put_and_die), 0)
    assert Receiver(memory.results).get_nowait() == [b"done"]


@pytest.mark.parametrize("at", [0, 4, FRAME.size, FRAME.size + 3])
def test_damage_is_noticed(memory: SharedMemory, at: int) -> None:
    Sender(memory.jobs).put(b"something")
    memory.jobs.data[at] ^= 0x55
    receiver = Receiver(memory.jobs)
    if at == 0:  # a length that never completes, until more comes that can't be right
        Sender(memory.jobs).put(b"y" * 200)
    with pytest.raises(RingDamaged):
        receiver.get_nowait()


def test_an_impossible_counter_is_damage(memory: SharedMemory) -> None:
    memory.jobs.words[0] = RING_BYTES + 1
    with pytest.raises(RingDamaged):
        Receiver(memory.jobs).get_nowait()


def test_a_closed_queue_is_emptied_first(memory: SharedMemory) -> None:
    sender, receiver = Sender(memory.jobs), Receiver(memory.jobs)
    sender.put(b"last")
    sender.close()
    assert receiver.get() == b"last"
    with pytest.raises(RingClosed):
        receiver.get(timeout=10)


def test_put_gives_up_after_its_time_out(memory: SharedMemory) -> None:
    with pytest.raises(RingFull):
        Sender(memory.jobs).put(b"x" * (2 * RING_BYTES), timeout=0.01)


def test_get_gives_up_after_its_time_out(memory: SharedMemory) -> None:
    assert Receiver(memory.jobs).get(timeout=0.01) is None


def test_the_memory_has_no_name(memory: SharedMemory) -> None:
    target = str(Path(f"/proc/self/fd/{memory.fds.memory}").readlink())
    assert "memfd:" in target
    assert "(deleted)" in target
    assert HEADER_BYTES % 4096 == 0


def test_no_lock_is_shared() -> None:
    """What the two sides share is bytes; there is nothing that a dead one could hold."""
    import inspect

    from wsup.subworkers import board, memory, ring

    for module in (board, memory, ring):
        source = inspect.getsource(module)
        assert "Lock" not in source
        assert "Semaphore" not in source
    assert get_context("fork") is not None
