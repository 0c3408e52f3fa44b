"""What is said when there is no server to talk to: one line."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import shell
from served import agent, with_server

from wsup.config.errors import DatabaseError
from wsup.config.settings import Settings
from wsup.remote.token import Token
from wsup.sql.answers import SourceLost
from wsup.supervisor.served import Server


async def refusal(url: str) -> str:
    with pytest.raises((DatabaseError, SourceLost)) as refused:
        await agent(url, 1)
    return str(refused.value)


async def at_a_server(url: str) -> str:
    return await refusal(url.replace("http:", "https:"))


async def beside_its_path(url: str) -> str:
    return await refusal(url + "/elsewhere")


async def at_something_else(url: str) -> str:
    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        return await refusal(f"http://127.0.0.1:{port}")


async def where_others_answer(url: str) -> str:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        return await refusal(f"http://127.0.0.1:{port}")


async def where_all_is_closed(url: str) -> str:
    """As a server does that expects TLS."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        return await refusal(f"http://127.0.0.1:{port}")


async def where_nobody_is(url: str) -> str:
    return await refusal("http://127.0.0.1:9")


async def at_no_such_host(url: str) -> str:
    return await refusal("http://nowhere.invalid:8443")


SAID: dict[str, Callable[[str], Awaitable[str]]] = {
    "TLS fails (WRONG_VERSION_NUMBER): is it an https server?": at_a_server,
    "there is no /elsewhere/v1/hello here": beside_its_path,
    "no wsup server answers there, but HTTP status 404: is --source": where_others_answer,
    ": does it speak https?": where_all_is_closed,
    "no HTTP server answers there": at_something_else,
    "Connection refused: does wsup serve run there?": where_nobody_is,
    "nowhere.invalid:8443: ": at_no_such_host,
}


def test_who_is_not_there_is_said_in_a_line(database: str) -> None:
    async def work(url: str) -> None:
        for said, ask in SAID.items():
            text = await ask(url)
            assert said in text
            assert "\n" not in text

    with_server(database, work)


@pytest.mark.parametrize("said", ["", "one.two.three\r\nfour", "a b.c.d", "-----BEGIN", "é.b.c"])
def test_a_file_that_holds_no_token(tmp_path: Path, said: str) -> None:
    file = tmp_path / "token"
    file.write_text(said)
    with pytest.raises(DatabaseError) as refused:
        Token(file).read()
    put = "put there what wsup token issue prints"
    assert str(refused.value) == f"token_file = {file}: there is no token in it: {put}"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://here", "--source ftp://here: use https://HOST:PORT, several with commas"),
        ("http://here:99999", "source = http://here:99999: Port out of range 0-65535: use"),
        ("http://a..b:80", "source = http://a..b:80: no host has such a name: use https"),
        ("http://[::1:80", "source = http://[::1:80: Invalid IPv6 URL: use https://HOST:PORT"),
    ],
)
def test_an_address_that_is_none(wsup: shell.Wsup, url: str, complaint: str) -> None:
    result = wsup("start", "--app", "shop:app", "--source", url)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"wsup: {complaint}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "is_told"),
    [("http://nowhere.invalid:1", True), ("https://nowhere.invalid:1", False),
     ("http://localhost:1", False)],
)  # fmt: skip
def test_what_others_could_read_is_told(
    url: str, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DatabaseError):
        Server(Settings(source=url)).first_look(1)
    assert ("all goes there in the clear" in caplog.text) == is_told
