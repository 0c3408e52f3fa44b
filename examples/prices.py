"""Async I/O: each subworker waits for many answers at once, over connections that it keeps.

    wsup start --app prices:app --subworkers 2     # in this folder
    python prices.py                               # in another terminal, same folder

The program brings the slow service along that the jobs ask: 400 questions of 50 ms each.
"""

import asyncio
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from wsup import App

app = App()


class Connections:
    """The open connections of one subworker, for all jobs that it runs at the same time."""

    async def open(self) -> None:
        self._turns = asyncio.Semaphore(50)
        self._idle: list[tuple[StreamReader, StreamWriter]] = []

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()

    @asynccontextmanager
    async def take(self, port: int) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
        async with self._turns:
            if self._idle:
                connection = self._idle.pop()
            else:
                connection = await asyncio.open_connection("127.0.0.1", port)
            yield connection
            self._idle.append(connection)  # not after an error: it may be amid an answer


# Sockets don't survive the fork that makes a subworker, so they belong to the subworker's start.
connections = Connections()
app.on_subworker_start(connections.open)
app.on_subworker_stop(connections.close)


@app.task(retries=2, timeout=10)
async def price(port: int, item: str) -> float:
    """Ask the service for the price of an item."""
    async with connections.take(port) as (reader, writer):
        writer.write(f"{item}\n".encode())
        return float(await reader.readline())


async def slow_service(reader: StreamReader, writer: StreamWriter) -> None:
    """Answers each line with its length as a price, after 50 ms."""
    with suppress(asyncio.CancelledError):  # at the end of the program
        while line := await reader.readline():
            await asyncio.sleep(0.05)
            writer.write(b"%d.99\n" % len(line.strip()))
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(slow_service, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    started = time.monotonic()
    jobs = await price.aenqueue_many(price.args(port, f"item {n}") for n in range(400))
    prices = [await job.aresult(timeout=30) for job in jobs]
    seconds = time.monotonic() - started
    print(f"{len(prices)} prices, {sum(prices):.2f} in all")
    print(f"{seconds:.1f} s instead of the 20 s that one after the other takes")
    server.close()
    await app.aclose()


if __name__ == "__main__":
    asyncio.run(main())
