"""What operators ask the server over HTTP: whether it is fit, what it has done, what it speaks."""

from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..remote import protocol
from .verb import Verb

if TYPE_CHECKING:
    from .core import Core

#: Statuses of refusals; errors.py says of what, and 500 is a fault of the server's own.
_REFUSALS = ("400", "401", "403", "405", "408", "413", "422", "426", "429", "500", "503")
#: By the verb and the status of the answer.
Counts = dict[tuple[str, int], int]


def application(core: "Core", counts: Counts, is_stopping: Callable[[], bool]) -> Starlette:
    """Asks nothing of the database, and needs no token: it tells nothing of any job."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        checks = core.checks()
        if is_stopping():
            checks["running"] = "the server is stopping"
        fit = not any(checks.values())
        said = {name: wrong or "ok" for name, wrong in checks.items()}
        return JSONResponse({"ready": fit, "checks": said}, 200 if fit else 503)

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(
            "".join(_lines(core, counts)), media_type="text/plain; version=0.0.4"
        )

    async def openapi(request: Request) -> Response:
        return JSONResponse(description(core.desk.verbs))

    paths = {
        "/healthz": healthz,
        "/readyz": readyz,
        "/metrics": metrics,
        "/openapi.json": openapi,
    }
    return Starlette(routes=[Route(path, answer) for path, answer in paths.items()])


def _lines(core: "Core", counts: Counts) -> list[str]:
    turns, life = core.turns, core.life
    lines: list[str] = []
    for name, kind, what, value in (
        ("turns_total", "counter", "Transactions that pulled or settled.", turns.taken),
        ("jobs_pulled_total", "counter", "Jobs given to supervisors.", turns.pulled),
        ("jobs_settled_total", "counter", "Results of jobs that were accepted.", turns.settled),
        ("turn_seconds_total", "counter", "Time spent in turns.", round(turns.seconds, 6)),
        ("supervisors", "gauge", "Supervisors heard of lately.", life.known),
        ("waiting", "gauge", "Supervisors that wait for jobs.", turns.waiting),
        ("database_connected", "gauge", "Whether the database is there.", int(core.is_whole())),
    ):
        full = f"wsup_server_{name}"
        lines += f"# HELP {full} {what}\n", f"# TYPE {full} {kind}\n", f"{full} {value}\n"
    name = "wsup_server_requests_total"
    lines += f"# HELP {name} Requests by verb and status.\n", f"# TYPE {name} counter\n"
    for (verb, status), number in sorted(counts.items()):
        lines.append(f'{name}{{verb="{verb}",status="{status}"}} {number}\n')
    return lines


def description(verbs: dict[str, Verb]) -> dict[str, Any]:
    """The protocol in OpenAPI, made of the types that are spoken."""
    spoken = [verb.request for verb in verbs.values() if verb.request is not None]
    replies = [verb.reply for verb in verbs.values() if verb.reply is not None]
    schemas, parts = msgspec.json.schema_components(
        [*spoken, *replies, protocol.Refusal], ref_template="#/components/schemas/{name}"
    )
    requests = iter(schemas[: len(spoken)])
    answers = iter(schemas[len(spoken) : -1])
    refusal = {"description": "Why not.", "content": {protocol.MEDIA: {"schema": schemas[-1]}}}
    paths: dict[str, Any] = {}
    for name, verb in verbs.items():
        operation: dict[str, Any] = {
            "operationId": name.replace("/", "_"),
            "summary": verb.does,
            "security": [{"token": []}],
            "responses": {
                "200": {
                    "description": "Done.",
                    "content": {
                        protocol.MEDIA: {
                            "schema": {"type": "null"} if verb.reply is None else next(answers)
                        }
                    },
                },
                **dict.fromkeys(_REFUSALS, refusal),
            },
        }
        if verb.request is not None:
            operation["requestBody"] = {
                "required": True,
                "content": {protocol.MEDIA: {"schema": next(requests)}},
            }
        paths[f"/v1/{name}"] = {"post": operation}
    described: dict[str, Any] = _in_messagepack(_document(paths, parts))
    return described


def _document(paths: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wsup serve",
            "version": version("wsup"),
            "description": "Bodies are MessagePack. A string of format binary is a bin there; a "
            "date-time may also be a timestamp.",
        },
        "paths": paths,
        "components": {
            "schemas": parts,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _in_messagepack(schema: Any) -> Any:
    """Bytes are what they are, and not in base64 as in JSON."""
    if isinstance(schema, dict):
        found = {key: _in_messagepack(value) for key, value in schema.items()}
        if found.pop("contentEncoding", None):
            found["format"] = "binary"
        return found
    return [_in_messagepack(each) for each in schema] if isinstance(schema, list) else schema
