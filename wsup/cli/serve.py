"""`wsup serve`."""

import sys
from pathlib import Path

import click

from wsup.config.addresses import is_loopback
from wsup.config.database import direct_dsn, resolve
from wsup.config.errors import ConfigError
from wsup.config.loading import load

from .extras import needs
from .options import settings_options

MOST_PORT = 65_535
OPEN = (
    "--bind {bind}: other machines can reach it, and what is said there could be read: give "
    "--certificate and --key, or --plain if a proxy of yours does TLS"
)
NOBODY = (
    "--bind {bind}: other machines can reach it, and everybody would be let in: give --keys FILE "
    "(wsup token key makes one)"
)


@click.command()
@click.option(
    "--bind",
    default="127.0.0.1:8443",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen.",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The certificate to show, and those that vouch for it; read again at HUP.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The private key of the certificate.",
)
@click.option(
    "--keys",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The keys that tokens are signed with; read again at HUP, and for one that is not known.",
)
@click.option("--plain", is_flag=True, help="Plain HTTP, though others can reach it.")
@settings_options(
    "database", "listen", "lease", "poll", "max_lost", "log_level", "log_format", "connect_tries",
    "statement_timeout", "retention_succeeded", "retention_failed", "retention_cancelled",
    "retention_expired",
)  # fmt: skip
def serve(
    config_file: Path | None,
    bind: str,
    certificate: Path | None,
    key: Path | None,
    keys: Path | None,
    *,
    plain: bool,
    **flags: str | None,
) -> None:
    """Serve jobs to hosts without a database.

    \b
    TERM  answer whoever waits, then stop     HUP  read certificate and keys again
    """
    settings = load(flags, config_file)
    host, port = _address(bind)
    if not is_loopback(host):
        if not (certificate or plain):
            raise ConfigError(OPEN.format(bind=bind))
        if keys is None:
            raise ConfigError(NOBODY.format(bind=bind))
    if (certificate is None) != (key is None):
        raise ConfigError("--certificate and --key: give both, or none")
    dsn = resolve(settings.database)
    with needs("uvicorn", "serve"):
        from wsup.server.run import Bind, serve
    sys.exit(
        serve(
            settings,
            dsn,
            direct_dsn(settings.listen, dsn),
            Bind(host, port, certificate, key, keys),
        )
    )


def _address(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > MOST_PORT:
        raise ConfigError(f"--bind {bind}: must be HOST:PORT, as 127.0.0.1:8443 or [::]:8443")
    return host.strip("[]"), int(port)
