"""Who is let in: tokens issued, renewed and revoked, certificates changed, by real processes."""

import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shell
from running import Supervisor, enqueue, finished, sleepers, until

from wsup.config.tokens import Keys
from wsup.remote import protocol

Connection = psycopg.Connection[Any]
MakeAgent = Callable[..., Supervisor]


@pytest.fixture
def keys(wsup: shell.Wsup, tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text(wsup("token", "key", "first").stdout)
    return file


@pytest.fixture
def issue(wsup: shell.Wsup, keys: Path, tmp_path: Path) -> Callable[..., Path]:
    """Issues a token into a file."""

    def run(agent: str, *flags: str) -> Path:
        result = wsup("token", "issue", agent, "--keys", str(keys), *flags)
        assert result.exit_code == 0, result.output
        file = tmp_path / f"token-{agent}"
        file.write_text(result.stdout)
        return file

    return run


def test_tokens_are_issued_listed_and_revoked(
    wsup: shell.Wsup, issue: Callable[..., Path], connection: Connection
) -> None:
    token = issue("host7", "--queues", "mail,sms", "--for", "12h").read_text().strip()
    listed = wsup("token", "list").stdout.splitlines()
    assert listed[1].split()[1:4] == ["host7", "mail,sms", "run,schedule"]
    assert token not in "".join(listed)
    assert wsup("token", "revoke", "host7").exit_code == 0
    assert len(wsup("token", "list").stdout.splitlines()[1].split()) > len(listed[1].split())
    again = wsup("token", "revoke", "host7")
    assert (again.exit_code, again.stderr) == (
        2,
        "wsup: token host7: there is none of that id or agent; see wsup token list\n",
    )


NAMES = "names of 1 to 200 printable characters, with commas; leave it out to open all"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--for", "soon"], "--for soon: must be a time of up to 10 years, as 15m, 12h or 30d"),
        (["--queues", "mail,,sms"], f"--queues 'mail,,sms': must be {NAMES}"),
        (["--queues", "mail,\x01"], f"--queues 'mail,\\x01': must be {NAMES}"),
        (["--verbs", "fly"], "--verbs fly: there is no 'fly'; use run, schedule"),
    ],
)
def test_bad_tokens_are_not_issued(
    wsup: shell.Wsup, keys: Path, flags: list[str], complaint: str
) -> None:
    result = wsup("token", "issue", "host7", "--keys", str(keys), *flags)
    assert (result.exit_code, result.stderr) == (2, f"wsup: {complaint}\n")


@pytest.mark.parametrize("name", ["", "two words", "#first", "a\x1fb"])
def test_a_key_has_a_name_that_can_be_read_again(name: str) -> None:
    said = f"wsup: key {name!r}: give a name without spaces that doesn't begin with #\n"
    assert shell.complaint("token", "key", name) == said


@pytest.mark.parametrize("agent", ["", " host", "host\n7", "h" * 201])
def test_a_host_has_a_name_that_can_be_shown(agent: str) -> None:
    said = f"wsup: agent {agent!r}: give a name of 1 to 200 printable characters\n"
    assert shell.complaint("token", "issue", agent, "--keys", "nowhere") == said


def test_queues_are_named_as_elsewhere(
    wsup: shell.Wsup, issue: Callable[..., Path], keys: Path
) -> None:
    """With spaces, should somebody like them."""
    said = Keys.load(keys).read(issue("host7", "--queues", "mail, sms").read_text().strip())
    assert said.queues == ("mail", "sms")


@pytest.mark.slow
def test_a_process_outlives_its_token(
    make_server: Any,
    make_agent: MakeAgent,
    issue: Callable[..., Path],
    keys: Path,
    connection: Connection,
) -> None:
    """And is shut out within two seconds of its revocation."""
    server = make_server("--keys", str(keys)).start()
    file = issue("host7", "--for", "6s")
    before = file.read_text()
    agent = make_agent(server, "--subworkers", "1", "--token-file", str(file), "--poll", "1")
    agent.start()
    server.wait_for("the token of host7 is renewed")
    until(lambda: file.read_text() != before, "the new one is in its file")
    server.wait_for("the token of host7 is renewed", times=2)
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    until(lambda: sleepers(connection) == 1, "the server sleeps")
    connection.execute("SELECT wsup.revoke_tokens('host7')")
    began = time.monotonic()
    agent.wait_for("the token of host7 was revoked: have another one issued")
    assert time.monotonic() - began < 2


@pytest.mark.slow
def test_a_revoked_token_does_not_start_an_agent(
    make_server: Any,
    make_agent: MakeAgent,
    issue: Callable[..., Path],
    keys: Path,
    connection: Connection,
) -> None:
    server = make_server("--keys", str(keys)).start()
    file = issue("host7")
    connection.execute("SELECT wsup.revoke_tokens('host7')")
    agent = make_agent(server, "--subworkers", "1", "--token-file", str(file)).launch()
    assert agent.ended() == 2
    assert "wsup: the token of host7 was revoked: have another one issued" in agent.log


def let_in(server: Any, token: Path) -> bool:
    """Does the server talk to who has this token?"""
    hello = protocol.encode(protocol.Hello(protocol.OLDEST, protocol.NEWEST, "0"))
    headers = {"authorization": f"Bearer {token.read_text().strip()}"}
    request = urllib.request.Request(server.url + "/v1/hello", hello, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        with error:
            return error.code != 401


def test_keys_change_while_a_server_runs(
    make_server: Any, issue: Callable[..., Path], keys: Path, wsup: shell.Wsup
) -> None:
    server = make_server("--keys", str(keys)).start()
    before = issue("host1")
    new = wsup("token", "key", "second").stdout
    keys.write_text(new + keys.read_text())
    after = issue("host2")
    assert let_in(server, after)
    assert let_in(server, before)
    keys.write_text(new)
    server.send(signal.SIGHUP)
    server.wait_for("the keys are read again")
    assert let_in(server, after)
    assert not let_in(server, before)


@pytest.mark.slow
def test_what_nobody_calls_out_is_looked_for(
    make_server: Any, issue: Callable[..., Path], keys: Path, connection: Connection
) -> None:
    """A server behind a pooler alone hears of no revocation."""
    server = make_server("--keys", str(keys), "--listen", "off").start()
    token = issue("host7")
    assert let_in(server, token)
    connection.execute("SELECT wsup.revoke_tokens('host7')")
    began = time.monotonic()
    until(lambda: not let_in(server, token), "it is revoked")
    assert time.monotonic() - began < 2


@pytest.mark.slow
def test_a_token_that_only_runs_jobs(
    make_server: Any,
    make_agent: MakeAgent,
    issue: Callable[..., Path],
    keys: Path,
    connection: Connection,
) -> None:
    """Schedules and limits are left to others; a queue that it doesn't open ends the start."""
    server = make_server("--keys", str(keys)).start()
    file = issue("host7", "--verbs", "run", "--queues", "default")
    agent = make_agent(
        server,
        "--subworkers",
        "1",
        "--token-file",
        str(file),
        "--queues",
        "default",
        app="idle:app",
    ).start()
    assert finished(connection, enqueue(connection, "nightly")) == ["succeeded"]
    assert connection.execute("SELECT FROM wsup.schedule").rowcount == 0
    assert "lost" not in agent.log
    stranger = make_agent(server, "--token-file", str(file), "--queues", "mail", app="idle:app")
    assert stranger.launch().ended() == 2
    assert "wsup: the token of host7 doesn't allow queue 'mail': have one issued" in stranger.log
