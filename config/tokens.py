"""Signing keys, and the tokens that are made with them.

A file of keys has one a line: a name and a secret. The first one signs; all of them are believed,
so that keys are changed without a gap: put the new one first, and take the old one out once the
tokens that it has signed have been renewed.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ConfigError

ALGORITHM = "HS256"
AUDIENCE = ISSUER = "wsup"
#: Characters that a secret has at least: 32 bytes in hexadecimal digits.
SECRET_LENGTH = 64
VERBS = ("run", "schedule")


class BadToken(Exception):
    """The token is not a good one; the text says why, and what to do."""


class UnknownKey(BadToken):
    """It is signed with a key that is not known here."""


@dataclass(frozen=True)
class Grant:
    """What a token says."""

    id: str
    agent: str
    #: None: all.
    queues: tuple[str, ...] | None
    verbs: tuple[str, ...]
    #: Seconds since 1970.
    issued_at: float
    expires_at: float


class Keys:
    def __init__(self, secrets_by_name: dict[str, str]) -> None:
        #: By name, in their order.
        self.secrets = secrets_by_name

    @classmethod
    def load(cls, file: Path) -> "Keys":
        """Raises ConfigError."""
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigError(f"--keys {file}: {why}: wsup token key makes one") from None
        found: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            match line.split():
                case [name, secret] if len(secret) >= SECRET_LENGTH and name not in found:
                    found[name] = secret
                case _:
                    raise ConfigError(
                        f"--keys {file}, line {number}: must be a name of its own and a secret of "
                        f"{SECRET_LENGTH} characters or more: wsup token key makes one"
                    )
        if not found:
            raise ConfigError(f"--keys {file}: has no key: wsup token key makes one")
        return cls(found)

    @property
    def names(self) -> list[str]:
        """The first one signs."""
        return list(self.secrets)

    @property
    def signing(self) -> str:
        """The name of the key that signs."""
        return next(iter(self.secrets))

    def sign(self, grant: Grant) -> str:
        import jwt

        payload: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": grant.agent,
            "jti": grant.id,
            "iat": int(grant.issued_at),
            "exp": int(grant.expires_at),
            "verbs": list(grant.verbs),
        }
        if grant.queues is not None:
            payload["queues"] = list(grant.queues)
        return jwt.encode(
            payload, self.secrets[self.signing], ALGORITHM, headers={"kid": self.signing}
        )

    def read(self, token: str) -> Grant:
        """Raises BadToken."""
        import jwt

        try:
            name = jwt.get_unverified_header(token).get("kid", "")
            if name not in self.secrets:
                raise UnknownKey(
                    f"the token is signed with key {name!r}, which this server doesn't have "
                    f"(it has {', '.join(self.secrets)}): have one issued with a key of its own"
                )
            said = jwt.decode(
                token,
                self.secrets[name],
                [ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={
                    "require": ["exp", "iat", "sub", "jti", "aud", "iss"],
                    "verify_iat": False,  # the clock of who issued it may be ahead
                },
            )
        except jwt.ExpiredSignatureError:
            said = jwt.decode(token, options={"verify_signature": False})
            at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(said["exp"]))
            raise BadToken(
                f"the token of {said.get('sub')} expired at {at}: have another one issued "
                f"(wsup token issue {said.get('sub')})"
            ) from None
        except jwt.InvalidAudienceError:
            said = jwt.decode(token, options={"verify_signature": False})
            raise BadToken(
                f"the token is for {said.get('aud')!r}, not for {AUDIENCE!r}: have one issued by "
                "wsup token issue"
            ) from None
        except jwt.InvalidTokenError as error:
            raise BadToken(
                f"the token is not one of this server's ({error}): have one issued by "
                "wsup token issue"
            ) from None
        queues = said.get("queues")
        return Grant(
            said["jti"],
            said["sub"],
            None if queues is None else tuple(queues),
            tuple(said.get("verbs", VERBS)),
            said["iat"],
            said["exp"],
        )


def new_grant(
    agent: str, seconds: float, *, queues: Sequence[str] | None, verbs: Sequence[str]
) -> Grant:
    now = wall_clock()
    return Grant(
        secrets.token_hex(8), agent, None if queues is None else tuple(queues), tuple(verbs), now,
        now + seconds,
    )  # fmt: skip


def wall_clock() -> float:
    """Seconds since 1970: by these tokens expire."""
    return time.time()  # noqa: TID251 - it is to mean the same on another machine


def new_secret() -> str:
    return secrets.token_hex(SECRET_LENGTH // 2)
