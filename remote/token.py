"""The token of this host: read from its file, and put there again when it was renewed."""

import base64
import logging
import os
import re
from pathlib import Path

import msgspec

from ..config.errors import DatabaseError

#: Who asks a server that wants no tokens.
ANYBODY = "anybody"
log = logging.getLogger("wsup.remote")
#: What could be one; the server knows more.
_IS_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)


def agent_of(token: str) -> str:
    """Whose it is; whoever has none is anybody. Raises DatabaseError."""
    if not token:
        return ANYBODY
    try:
        payload = token.split(".")[1]
        said = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(said["sub"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise DatabaseError(f"the token can't be read: {error!r}") from None


class Token:
    """Without a file there is none: the server lets everybody in."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._read = ""
        #: One that is better than what is in the file.
        self._renewed = ""

    def read(self) -> str:
        """The newest: somebody may have put another one into the file. Raises DatabaseError."""
        if self._file is None:
            return ""
        try:
            read = self._file.read_text("ascii").strip()
            why = "" if _IS_TOKEN.fullmatch(read) else "there is no token in it"
        except UnicodeDecodeError:
            why = "there is no token in it"
        except OSError as error:
            why = error.strerror or str(error)
        if why and self._renewed:
            return self._renewed
        if why:
            raise DatabaseError(
                f"token_file = {self._file}: {why}: put there what wsup token issue prints"
            )
        if read != self._read:
            self._read, self._renewed = read, ""
        return self._renewed or read

    def keep(self, token: str) -> None:
        """It was renewed. If it can't be written, this process has it all the same."""
        self._renewed = token
        if self._file is None:
            return
        beside = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            beside.touch(mode=0o600)
            beside.write_text(token + "\n")
            beside.replace(self._file)
        except OSError as error:
            log.warning("the token is renewed, but can't be kept in %s: %s", self._file, error)
            return
        self._read = token
