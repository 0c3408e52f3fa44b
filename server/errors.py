"""Why a request is refused.

Denied
├── NotLet       403: it is somebody else's, or the token doesn't allow it
├── Unknown      404: there is no such verb
├── WrongMethod  405: it is not a POST
├── Malformed    400: it can't be read
├── TooSlow      408: it does not go on
├── Refused      422: the database refuses it
├── TooMuch      413: it is too large
├── TooMany      429: there are too many requests
├── Unversed     426: no version of the protocol is spoken on both sides
└── NoToken      401: there is no token, or not a good one
"""

from typing import ClassVar, TypeAlias

Headers: TypeAlias = list[tuple[bytes, bytes]]


#: What those are told whose request has met one.
FAULT = "the server has met a fault of its own: see its log"


class Denied(Exception):
    """The request is refused; the text says why, and what to do."""

    status = 400
    headers: ClassVar[Headers] = []


class Malformed(Denied):
    """The request can't be read."""


class TooSlow(Denied):
    """The request does not go on: no more of it is waited for."""

    status = 408
    headers: ClassVar[Headers] = [(b"connection", b"close")]


class NoToken(Denied):
    """There is no token, or not a good one."""

    status = 401
    headers: ClassVar[Headers] = [(b"www-authenticate", b"Bearer")]


class NotLet(Denied):
    """It is somebody else's, or the token doesn't allow it."""

    status = 403


class Unknown(Denied):
    """There is no such verb."""

    status = 404


class WrongMethod(Denied):
    """It is not a POST."""

    status = 405
    headers: ClassVar[Headers] = [(b"allow", b"POST")]


class Refused(Denied):
    """It can be read, but the database refuses it, and would do so again."""

    status = 422


class TooMuch(Denied):
    """It is larger than it may be: what is still to come of it is not read."""

    status = 413
    headers: ClassVar[Headers] = [(b"connection", b"close")]


class TooMany(Denied):
    """There are too many requests."""

    status = 429


class Unversed(Denied):
    """No version of the protocol is spoken on both sides."""

    status = 426
