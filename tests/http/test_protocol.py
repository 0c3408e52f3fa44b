"""Requests made up from the server's own description: it takes what fits, and nothing else.

Whatever it is sent, it answers as it says there, and goes on serving the others.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema_rs
import msgspec
import psycopg
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from road import fill
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance
from served import enter, grant, serving

from wsup.config.tokens import Keys, new_secret
from wsup.remote import protocol
from wsup.server.core import Core
from wsup.server.guard import Guard
from wsup.server.operations import description
from wsup.sql.serving import Serving
from wsup.sql.session import Session

Connection = psycopg.Connection[Any]

#: Of Schemathesis; bodies are checked here: its validator does not know `prefixItems`.
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
#: What a request says of who sends it, and the supervisor that this is to be.
WHO = {"leave": ("supervisor", 2), "rescue": ("dead", 3)}


@schemathesis.serializer(protocol.MEDIA)
def pack(_: Any, value: Any) -> bytes:
    return msgspec.msgpack.encode(plain(value))


def plain(value: Any) -> Any:
    """As MessagePack has it: bytes are bytes; what JSON takes for an integer is one."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)  # MessagePack has no such integers
    return getattr(value, "data", value)


def as_json(value: Any) -> Any:
    """With some text where there are bytes."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return str(value) if isinstance(value, str) else value


class Served(NamedTuple):
    url: str
    core: Core
    token: str


@pytest.fixture
def served(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server in a thread of its own."""
    monkeypatch.setattr("wsup.server.ears.WAIT_SECONDS", 0.01)
    for number in (1, 2, 3):
        enter(database, number, "one", lease=3600)  # none beats until its turn comes
    keys = Keys({"first": new_secret()})
    identify = Guard(keys, Serving(Session(database))).identify
    found: list[Any] = []
    ready = threading.Event()

    async def run() -> None:
        done = asyncio.Event()
        async with serving(database, identify) as (url, core):
            found.extend((Served(url, core, keys.sign(grant("one"))), done))
            found.append(asyncio.get_running_loop())
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(20)
    served, done, loop = found
    yield served
    loop.call_soon_threadsafe(done.set)
    thread.join(20)


class Asker:
    """Asks what Schemathesis makes up, and looks at the answers."""

    def __init__(self, served: Served, session: requests.Session) -> None:
        self._served = served
        self._session = session
        self.description = description(served.core.desk.verbs)
        #: Answers by verb and status.
        self.seen: Counter[tuple[str, int]] = Counter()

    def fits(self, schema: dict[str, Any], value: Any) -> bool:
        whole = {**schema, "components": self.description["components"]}
        return bool(
            jsonschema_rs.Draft202012Validator(whole, validate_formats=True).is_valid(
                as_json(value)
            )
        )

    def ask_all(self, operation: APIOperation, mode: GenerationMode, examples: int) -> None:
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            self.ask(case, mode)

        ask()

    def ask(self, case: Case, mode: GenerationMode) -> None:
        path = self.description["paths"][case.path]["post"]
        body = path.get("requestBody")
        fits = body is None or self.fits(body["content"][protocol.MEDIA]["schema"], case.body)
        verb = case.path.removeprefix("/v1/")
        if fits and body:
            _make_deeper(verb, case)
        answer = case.call(
            base_url=self._served.url,
            session=self._session,
            headers={"authorization": f"Bearer {self._served.token}"},
        )
        self.seen[verb, answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)
        said = msgspec.to_builtins(msgspec.msgpack.decode(answer.content))
        reply = path["responses"][str(answer.status_code)]["content"][protocol.MEDIA]["schema"]
        assert self.fits(reply, said), said
        if not fits:
            assert answer.status_code == 400, case.body
        elif mode is GenerationMode.POSITIVE and verb != "schedules/tick":  # there are leap seconds
            assert answer.status_code != 400, (case.body, said)


def _make_deeper(verb: str, case: Case) -> None:
    """Have it not end with a supervisor that nobody knows."""
    body: Any = case.body
    if verb == "hello":
        body["oldest"] = 1
    elif verb == "turn":
        body[0] = 1
        body[5:6] = [["default"]] if len(body) > 5 else []
    elif isinstance(body, dict):
        name, number = WHO.get(verb, ("supervisor", 1))
        if name in body:
            body[name] = number


def try_all(served: Served, connection: Connection, examples: int) -> None:
    fill(connection, 50)
    with requests.Session() as session:
        asker = Asker(served, session)
        schema = schemathesis.openapi.from_dict(asker.description)
        for found in schema.get_all_operations():
            operation = found.ok()
            asker.ask_all(operation, GenerationMode.POSITIVE, examples)
            asker.ask_all(operation, GenerationMode.NEGATIVE, examples)
            answer = session.post(served.url + operation.path, timeout=20)
            assert answer.status_code == 401
    done = {verb for verb, status in asker.seen if status == 200}
    assert done == served.core.desk.verbs.keys()
    assert not any(served.core.checks().values())


def test_the_server_takes_what_fits_its_description_and_nothing_else(
    served: Served, connection: Connection
) -> None:
    try_all(served, connection, 4)


@pytest.mark.slow
def test_the_same_at_length(served: Served, connection: Connection) -> None:
    try_all(served, connection, 500)
