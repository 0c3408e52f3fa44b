"""What operators ask of a server, and what it says of itself."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from running import Supervisor, enqueue, finished, state, until

Connection = psycopg.Connection[Any]


def get(server: Any, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(server.url + path, timeout=20) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")


def test_a_server_counts_what_it_does(
    served: Any, make_agent: Callable[..., Supervisor], connection: Connection
) -> None:
    make_agent(served, "--subworkers", "1").start()
    assert finished(connection, enqueue(connection, "noop")) == ["succeeded"]
    assert get(served, "/healthz") == (200, "ok\n")
    lines = dict(
        line.rsplit(" ", 1)
        for line in get(served, "/metrics")[1].splitlines()
        if not line.startswith("#")
    )
    assert lines["wsup_server_jobs_pulled_total"] == "1"
    assert lines["wsup_server_jobs_settled_total"] == "1"
    assert lines["wsup_server_supervisors"] == "1"
    assert int(lines['wsup_server_requests_total{verb="turn",status="200"}']) >= 1
    status, body = get(served, "/readyz")
    assert (status, json.loads(body)["ready"]) == (200, True)


@pytest.mark.slow
def test_a_server_without_its_database_says_what_is_wrong(
    own_database: str, own_server: Any, make_server: Any
) -> None:
    server = make_server(database=own_database).start()
    own_server.end()
    try:
        until(lambda: get(server, "/readyz")[0] == 503, "it is not ready")
        checks = json.loads(get(server, "/readyz")[1])["checks"]
        assert checks["database"] != "ok"
        assert checks["turns"] == "ok"
        assert get(server, "/healthz")[0] == 200
    finally:
        own_server.start()
    until(lambda: get(server, "/readyz")[0] == 200, "it is ready again")


@pytest.mark.slow
def test_a_server_removes_old_jobs(
    make_server: Any, make_agent: Callable[..., Supervisor], connection: Connection
) -> None:
    """Also one that was started after those whom it serves."""
    server = make_server("--retention-succeeded", "1", "--poll", "1").start()
    agent = make_agent(server, "--subworkers", "1").start()
    assert server.stop() == 0
    server.start()
    agent.wait_for("connected again")
    job = enqueue(connection, "noop")
    server.wait_for("jobs removed")
    assert state(connection, job) is None


def test_the_protocol_is_described_as_it_is_spoken(served: Any) -> None:
    said = json.loads(get(served, "/openapi.json")[1])
    assert {"/v1/turn", "/v1/beat", "/v1/schedules/tick"} <= said["paths"].keys()
    text = json.dumps(said)
    for name in said["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    turn = said["paths"]["/v1/turn"]["post"]
    assert turn["requestBody"]["content"]["application/msgpack"]["schema"] == {
        "$ref": "#/components/schemas/TurnRequest"
    }
    assert get(served, "/nothing")[0] == 404
    assert get(served, "/v1/time")[0] == 405
