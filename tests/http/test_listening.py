"""Where a server listens, and with what certificate."""

import asyncio
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shell
from running import PATIENCE, Supervisor, enqueue, finished

from wsup.config.tokens import new_secret
from wsup.remote.channel import Channel
from wsup.server.hurry import Hurried
from wsup.server.listening import Loop, bound
from wsup.sql.answers import SourceLost

Connection = psycopg.Connection[Any]
MakeAgent = Callable[..., Supervisor]


def certificate(folder: Path, name: str) -> Path:
    """A certificate that vouches for itself, and its key beside it."""
    file = folder / f"{name}.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(folder / f"{name}.key"), "-out", str(file)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return file


def shown(port: int) -> str:
    """The certificate that the server shows."""
    return ssl.get_server_certificate(("127.0.0.1", port)).strip()


@pytest.mark.slow
def test_tls_and_a_certificate_that_changes(
    make_server: Any, make_agent: MakeAgent, tmp_path: Path, connection: Connection
) -> None:
    first = certificate(tmp_path, "first")
    server = make_server("--certificate", str(first), "--key", str(tmp_path / "first.key")).start()
    agent = make_agent(server, "--subworkers", "1", "--source-ca", str(first)).start()
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    second = certificate(tmp_path, "second")
    old = first.read_text().strip()
    assert shown(server.port) == old
    first.write_bytes(second.read_bytes())
    server.send(signal.SIGHUP)
    server.wait_for("the old one stays: --key")
    assert shown(server.port) == old
    (tmp_path / "first.key").write_bytes((tmp_path / "second.key").read_bytes())
    server.reload()
    assert shown(server.port) == second.read_text().strip()
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    assert "lost" not in agent.log


@pytest.mark.slow
def test_a_certificate_that_nobody_vouches_for(
    make_server: Any, make_agent: MakeAgent, tmp_path: Path
) -> None:
    file = certificate(tmp_path, "first")
    server = make_server("--certificate", str(file), "--key", str(tmp_path / "first.key")).start()
    agent = make_agent(server, "--connect-tries", "1").launch()
    assert agent.ended() == 2
    assert "its certificate is not trusted: self-signed certificate" in agent.log


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--bind", "0.0.0.0:8443"], "what is said there could be read: give --certificate"),
        (["--bind", "0.0.0.0:8443", "--plain"], "everybody would be let in: give --keys FILE"),
        (["--bind", "8443"], "--bind 8443: must be HOST:PORT"),
        (["--keys", "nowhere"], "--keys nowhere: No such file or directory: wsup token key"),
        (["--key", "a"], "--certificate and --key: give both, or none"),
    ],
)
def test_a_server_is_not_open_by_accident(
    wsup: shell.Wsup, flags: list[str], complaint: str
) -> None:
    result = wsup("serve", *flags)
    assert result.exit_code == 2
    assert complaint in result.stderr


PEM = "name a file in PEM form"


@pytest.mark.parametrize(
    ("shown", "key", "complaint"),
    [
        ("none", "one.key", "--certificate {}/none: No such file or directory: " + PEM),
        ("one.key", "one.key", "--certificate {}/one.key: there is no certificate in it: " + PEM),
        ("one.crt", "none", "--key {}/none: No such file or directory: " + PEM),
        ("one.crt", "one.crt", "--key {}/one.crt: there is no private key in it: " + PEM),
        ("one.crt", "two.key", "--key {0}/two.key: it is not that of --certificate {0}/one.crt"),
        ("one.crt", "locked", "--key {}/locked: it has a pass phrase, which nobody is there to"),
    ],
)
def test_a_certificate_that_can_t_be_shown(
    database: str, certificates: Path, shown: str, key: str, complaint: str
) -> None:
    files = ["--certificate", certificates / shown, "--key", certificates / key]
    line = shell.complaint("serve", "--database", database, *files)
    assert line.startswith(f"wsup: {complaint.format(certificates)}")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("one", "two"):
        certificate(folder, name)
    subprocess.run(
        ["openssl", "pkey", "-aes128", "-passout", "pass:abcdef", "-in", folder / "one.key",
         "-out", folder / "locked"],
        check=True,
    )  # fmt: skip
    return folder


def showing(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "one.crt", certificates / "one.key")
    return context


def test_a_certificate_of_another_name(certificates: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificates / "one.crt")

    async def refusal() -> str:
        (sock,) = bound("127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        async with await loop.create_server(asyncio.Protocol, sock=sock, ssl=showing(certificates)):
            channel = Channel(f"https://localhost:{sock.getsockname()[1]}", tls=trusting)
            with pytest.raises(SourceLost) as refused:
                await channel.ask("hello", b"", PATIENCE)
        return str(refused.value)

    said = "is not valid for 'localhost': name the server in --source as its certificate does"
    assert asyncio.run(refusal()).endswith(said)


def test_who_doesn_t_get_on_with_tls_is_not_kept(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hurried, "HEAD_SECONDS", 0.1)

    async def wait() -> bytes:
        (sock,) = bound("127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        async with await loop.create_server(asyncio.Protocol, sock=sock, ssl=showing(certificates)):
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            try:
                async with asyncio.timeout(PATIENCE):
                    return await reader.read()
            finally:
                writer.close()

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(wait()) == b""


@pytest.mark.parametrize(
    ("bind", "complaint"),
    [
        ("127.0.0.1:²", "--bind 127.0.0.1:²: must be HOST:PORT"),
        ("127.0.0.1:{}", "--bind 127.0.0.1:{}: Address already in use: name an address of this"),
        ("203.0.113.9:1", "--bind 203.0.113.9:1: Cannot assign requested address: name"),
        ("a..b:1", "--bind a..b:1: "),
    ],
)
def test_where_a_server_can_t_listen(
    database: str, tmp_path: Path, bind: str, complaint: str
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"first {new_secret()}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = ["--plain", "--keys", keys, "--database", database]
        line = shell.complaint("serve", "--bind", bind.format(port), *flags)
    assert line.startswith(f"wsup: {complaint.format(port)}")
