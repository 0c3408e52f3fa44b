"""Who is refused, and why; and that what is not as it should be costs nobody else anything."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import psycopg
import pytest
from road import fill, places, succeeded
from served import MOST_BYTES, QUEUES, agent, enter, grant, source_at, with_guard, with_server

from wsup.config.tokens import Keys, new_secret
from wsup.remote import protocol
from wsup.remote.source import Refused
from wsup.sql.answers import Pull, SourceLost, Unfit

Connection = psycopg.Connection[Any]


@pytest.fixture
def keys() -> Keys:
    return Keys({"new": new_secret(), "old": new_secret()})


def signed(keys: Keys, alg: str = "HS256", **claims: str) -> str:
    """A token of which something else is as it should be."""
    name = keys.signing
    said = jwt.decode(keys.sign(grant("a")), options={"verify_signature": False})
    key = "" if alg == "none" else keys.secrets[name]
    return jwt.encode(said | claims, key, alg, headers={"kid": name})


def test_nobody_touches_the_jobs_of_another_agent(
    database: str, connection: Connection, keys: Keys
) -> None:
    enter(database, 1, "one")
    enter(database, 2, "two")
    jobs = fill(connection, 2)

    async def work(url: str) -> None:
        one = await agent(url, 1, token=keys.sign(grant("one")))
        rows = (await one.turn([], Pull(QUEUES, 2))).rows
        posing = await agent(url, 1, token=keys.sign(grant("two")))
        for forbidden in (posing.own_claims(0), posing.turn([succeeded(rows[0])], None)):
            with pytest.raises(SourceLost, match="supervisor 1 is not two's"):
                await forbidden
            await posing.connect()
        thief = await agent(url, 2, token=keys.sign(grant("two")))
        assert (await thief.turn([succeeded(row) for row in rows], None)).refused == 2
        assert (await one.turn([succeeded(row) for row in rows], None)).refused == 0
        for source in (one, posing, thief):
            await source.close()

    with_guard(database, keys, work)
    assert [places(connection, job) for job in jobs] == [["succeeded"]] * 2


def test_a_token_is_refused_with_the_reason(database: str, keys: Keys) -> None:
    strange = Keys({"strange": new_secret()})
    posing = Keys({"new": new_secret()})
    cases = {
        "": "there is no token",
        "nonsense": "is not one of this server's",
        keys.sign(grant("a", lives=-1)): r"the token of a expired at .*: have another one issued",
        strange.sign(grant("a")): "key 'strange', which this server doesn't have .it has new, old",
        posing.sign(grant("a")): "is not one of this server's .Signature verification failed",
        signed(keys, aud="shop"): "the token is for 'shop', not for 'wsup': have one issued by",
        signed(keys, iss="shop"): "is not one of this server's .Invalid issuer",
        signed(keys, alg="none"): "is not one of this server's",
    }

    async def work(url: str) -> None:
        for token, reason in cases.items():
            with pytest.raises(Refused, match=reason):
                await agent(url, 1, token=token)

    with_guard(database, keys, work)


def test_a_token_of_a_server_whose_clock_is_ahead_is_good_at_once(keys: Keys) -> None:
    later = replace(grant("a"), issued_at=time.time() + 60)
    assert keys.read(keys.sign(later)).agent == "a"


def test_a_token_opens_its_queues_alone(database: str, keys: Keys) -> None:
    enter(database, 1, "one")

    async def work(url: str) -> None:
        source = await agent(url, 1, token=keys.sign(grant("one", queues=("mail",))))
        assert (await source.turn([], Pull(["mail"], 1))).rows == []
        with pytest.raises(SourceLost, match="doesn't allow queue 'default'"):
            await source.turn([], Pull(["mail", "default"], 1))
        await source.close()

    with_guard(database, keys, work)


def test_keys_change_without_a_gap(database: str, keys: Keys, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    old, new = new_secret(), new_secret()
    file.write_text(f"old {old}\n")
    token = Keys.load(file).sign(grant("one"))
    file.write_text(f"new {new}\nold {old}\n")
    both = Keys.load(file)
    assert both.read(token).agent == "one"
    assert both.signing == "new"
    assert both.read(both.sign(grant("one"))).agent == "one"


def test_keys_are_read_again_for_one_that_is_not_known(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not by each such token: anybody could have the server read files all the time."""
    file = tmp_path / "keys"
    file.write_text(f"old {new_secret()}\n")
    first = Keys.load(file)

    async def let_in(url: str, token: str) -> bool:
        source = source_at(url, token=token)
        with suppress(Refused):
            await source.connect()
        is_in = source.connected
        await source.close()
        return is_in

    async def work(url: str) -> None:
        new = Keys({"new": new_secret()})
        token = new.sign(grant("one"))
        assert not await let_in(url, token)
        file.write_text(f"new {new.secrets['new']}\nold {first.secrets['old']}\n")
        monkeypatch.setattr("wsup.server.guard.REREAD_SECONDS", 1000)
        assert not await let_in(url, token)
        monkeypatch.setattr("wsup.server.guard.REREAD_SECONDS", 0)
        assert await let_in(url, token)
        assert await let_in(url, first.sign(grant("two")))

    with_guard(database, first, work, file)


def test_who_may_not_define_schedules_works_without(
    database: str, connection: Connection, keys: Keys
) -> None:
    enter(database, 1, "one")
    fill(connection, 1)

    async def work(url: str) -> None:
        source = await agent(url, 1, token=keys.sign(grant("one", verbs=("run",))))
        assert await source.schedules.define("app", []) == []
        assert await source.schedules.define_queues("app", [("default", True, 0.0)]) == []
        assert await source.schedules.read("app") == []
        assert await source.limits.define("app", []) == []
        assert await source.limits.per_host() == {}
        assert source.connected
        assert len((await source.turn([], Pull(QUEUES, 1))).rows) == 1
        with pytest.raises(SourceLost, match="the token of one doesn't allow to schedule"):
            await source.ask("schedules/read", protocol.Read("app"), Any)
        await source.close()

    with_guard(database, keys, work)


# what is not as it should be --------------------------------------------------------------------


def turn_with(**said: Any) -> bytes:
    """A turn that no agent sends: its types are not looked at here."""
    return protocol.encode(protocol.TurnRequest(1, **said))


#: What a column can't hold, or what none should see, as the turn of all would be ended by it.
UNFIT = {
    "no MessagePack": b"\xc1",
    "another form": protocol.encode({"supervisor": 1}),
    "no UTF-8": b"\x96\x01\x90\x90\x90\x90\x91\xa1\xff",
    "a bottomless one": b"\x91" * 10_000 + b"\xc0",
    "a late attempt": turn_with(over=[(1, 1, 40_000, 1, 0.1, 0, None, None)]),
    "a large number": turn_with(over=[(2**63, 1, 1, 1, 0.1, 0, None, None)]),
    "the last number": turn_with(over=[(1, 2**63 - 1, 1, 1, 0.1, 0, None, None)]),
    "a long time": turn_with(failed=[(1, 1, 1, 0, "E", "m", None, 1e300, None)]),
    "no outcome": turn_with(over=[(1, 1, 1, 9, 0.1, 0, None, None)]),
    "less than nothing": turn_with(queues=["default"], most=-5),
    "a character 0": turn_with(queues=["a\0b"], most=1),
    "a stream": turn_with(queues=["default\x03noop"], most=1),
    "the marks of keys": turn_with(queues=["\x01"], most=1),
}


def test_what_can_t_be_read_costs_nobody_anything(database: str, connection: Connection) -> None:
    enter(database, 1)
    fill(connection, 1)

    async def work(url: str) -> None:
        source = await agent(url, 1)
        channel = source._channel
        asked = [("turn", body, 400) for body in UNFIT.values()]
        too_large = ("turn", b"\x00" * (MOST_BYTES + 1), 413)
        for verb, body, status in [*asked, ("nothing", b"", 404), too_large]:
            answer = await channel.ask(verb, body, 20)
            assert answer[0] == status, (body[:50], answer)
        assert len((await source.turn([], Pull(QUEUES, 2))).rows) == 1
        await source.close()

    with_server(database, work)


def test_what_the_database_refuses_is_no_loss_of_it(database: str) -> None:
    """Over a database of its own, a host stays connected, too."""

    async def work(url: str) -> None:
        source = await agent(url, 1)
        with pytest.raises(Unfit, match=r"the database refuses that: .*ageing .* is not between"):
            await source.schedules.define_queues("app", [("default", False, -1.0)])
        assert source.connected
        await source.close()

    with_server(database, work)


def test_who_asks_too_often_is_told_so(
    database: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsup.server.guard.MOST_REQUESTS", 5.0)

    async def work(url: str) -> None:
        source = await agent(url, 1, token=keys.sign(grant("one")))
        other = await agent(url, 1, token=keys.sign(grant("two")))
        asked = [source.server_time() for _ in range(20)]
        with pytest.raises(SourceLost, match="one asks more than 5 times a second"):
            await asyncio.gather(*asked)
        assert await other.server_time() > 0
        for each in (source, other):
            await each.close()

    with_guard(database, keys, work)


@pytest.mark.parametrize(
    ("oldest", "newest", "remedy"), [(7, 9, "upgrade the server"), (0, 0, "upgrade the agent")]
)
def test_who_speaks_no_common_protocol_is_told_both(
    database: str, oldest: int, newest: int, remedy: str
) -> None:
    async def work(url: str) -> None:
        source = await agent(url, 1)
        hello = protocol.Hello(oldest, newest, "9.0")
        said = f"wsup 9.0 speaks protocols {oldest} to {newest}, this server, wsup .*: {remedy}"
        with pytest.raises(SourceLost, match=said):
            await source.ask("hello", hello, protocol.Welcome)
        await source.close()

    with_server(database, work)
