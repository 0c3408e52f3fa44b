"""Requests that go on slowly, or without an end."""

import asyncio
from contextlib import suppress

import pytest
from served import agent, with_server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wsup.server.hurry import Hurried


def test_a_request_that_does_not_go_on_is_ended(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hurried, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr("wsup.server.web.BODY_SECONDS", 0.2)
    head = b"POST /v1/turn HTTP/1.1\r\nhost: a\r\n"

    async def hang(port: int, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def work(url: str) -> None:
        port = int(url.rpartition(":")[2])
        hanging = [hang(port, sent) for sent in (b"", head[:25], head) for _ in range(30)]
        assert set(await asyncio.gather(*hanging)) == {b""}
        for length in (b"content-length: 9\r\n\r\nab", b"transfer-encoding: chunked\r\n\r\n1\r\na"):
            answer = await hang(port, head + length)
            assert b"the request was not there within 0.2 s" in answer
        source = await agent(url, 1)  # whose connection stays, though nothing is said on it
        await asyncio.sleep(0.5)
        assert await source.server_time() > 0
        assert source.connected
        await source.close()

    with_server(database, work)


#: Before what has no end: a line of a head, and what follows a request that is refused at once.
ENDLESS = {
    "a path": b"POST /",
    "a header": b"POST /v1/turn HTTP/1.1\r\nhost: a\r\nx: ",
    "a refused one": b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
}


@pytest.mark.parametrize("head", ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_is_not_read_for_long(
    database: str, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    """Each part of it would be put behind all that have come: the more, the slower."""
    monkeypatch.setattr(Hurried, "HEAD_SECONDS", 0.5)
    fed = 0
    feed = HttpToolsProtocol.data_received

    def count(self: HttpToolsProtocol, data: bytes) -> None:
        nonlocal fed
        fed += len(data)
        feed(self, data)

    monkeypatch.setattr(HttpToolsProtocol, "data_received", count)

    async def work(url: str) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(head)
        with suppress(OSError):
            while True:
                writer.write(b"a" * 65_536)
                await writer.drain()
        writer.close()

    with_server(database, work)
    assert fed < 1 << 20
