"""Where a server listens, and with what certificate: looked at before anything else is done."""

import errno
import socket
import ssl
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from ..config.errors import ConfigError
from .hurry import Hurried

#: An address that this machine doesn't have, where a name has several.
_LACKING = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class Loop(uvloop.Loop):
    """Who doesn't get on with TLS is kept no longer than who doesn't with a request's head."""

    async def create_server(self, *given: Any, **named: Any) -> Any:
        if named.get("ssl"):
            named["ssl_handshake_timeout"] = Hurried.HEAD_SECONDS
        return await super().create_server(*given, **named)


def bound(host: str, port: int) -> list[socket.socket]:
    """A socket for each of the host's addresses, none of which listens yet. Raises ConfigError."""
    made: list[socket.socket] = []
    try:
        lacking = OSError(errno.EADDRNOTAVAIL, "it has no address")
        kind, flags = socket.SOCK_STREAM, socket.AI_PASSIVE
        for family, *_, address in socket.getaddrinfo(host, port, type=kind, flags=flags):
            try:
                made.append(_bound(family, address))
            except OSError as error:
                if error.errno not in _LACKING:
                    raise
                lacking = error
        if not made:
            raise lacking
    except (OSError, UnicodeError) as error:
        for sock in made:
            sock.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise ConfigError(
            f"--bind {where}: {getattr(error, 'strerror', None) or error}: name an address of this "
            "machine and a port that is free"
        ) from None
    return made


def _bound(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


class _Locked(Exception):
    """A pass phrase is asked for."""


def check_certificate(certificate: Path, key: Path) -> None:
    """See that they can be shown. A context that fails to load them has lost those from before.

    Raises ConfigError.
    """
    for option, file in (("--certificate", certificate), ("--key", key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{option} {file}: {error.strerror}: name a file in PEM form"
            ) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(certificate)
    except ssl.SSLError:
        raise ConfigError(
            f"--certificate {certificate}: there is no certificate in it: name a file in PEM form"
        ) from None
    try:
        context.load_cert_chain(certificate, key, _refuse)
    except _Locked:
        raise ConfigError(
            f"--key {key}: it has a pass phrase, which nobody is there to give: take it out "
            "(openssl pkey)"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"it is not that of --certificate {certificate}: name its own"
        else:
            why = "there is no private key in it: name a file in PEM form"
        raise ConfigError(f"--key {key}: {why}") from None


def _refuse() -> NoReturn:
    raise _Locked
