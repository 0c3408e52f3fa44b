"""A certificate for the servers of one soak, that vouches for itself."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from .errors import SoakError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Certificate:
    """Two files, as soon as they are made."""

    def __init__(self, folder: Path) -> None:
        self.shown = folder / "server.crt"
        self.key = folder / "server.key"

    def make(self, addresses: Iterable[str]) -> None:
        """Have openssl make it, for servers at these addresses. Raises SoakError."""
        names = ",".join(f"IP:{address}" for address in sorted(set(addresses)))
        command = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "30", "-subj", "/CN=wsup", "-addext", f"subjectAltName={names}",
            "-keyout", str(self.key), "-out", str(self.shown),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except OSError as error:
            raise SoakError(f"--tls needs openssl: {error}") from None
        except subprocess.CalledProcessError as error:
            raise SoakError(f"openssl makes no certificate: {error.stderr.strip()}") from None
