"""Who may come in: tokens are checked once, and then known until they expire or are revoked."""

import logging
import time
from pathlib import Path

from ..config.errors import ConfigError
from ..config.tokens import BadToken, Grant, Keys, UnknownKey, wall_clock
from ..remote.token import ANYBODY
from ..sql.serving import Serving
from .agent import Agent
from .errors import NoToken, TooMany

log = logging.getLogger("wsup.server")

#: Tokens that are remembered; each agent has one.
MOST_KNOWN = 10_000
#: Requests a second, and at once, of a token. A host under load makes some hundreds.
MOST_REQUESTS = 2000.0
#: Seconds at least between two looks into the file of keys for one that is not known.
REREAD_SECONDS = 1.0
_BEARER = b"Bearer "


class Guard:
    """Without `keys`, whoever comes is let in. `file` is where they are from."""

    def __init__(self, keys: Keys | None, serving: Serving, file: Path | None = None) -> None:
        self.keys = keys
        self._file = file
        self._reread_at = 0.0
        self._serving = serving
        self._known: dict[bytes, Agent] = {}
        self._revoked: set[str] = set()
        #: By token, how many requests are left, and as of when.
        self._left: dict[str, tuple[float, float]] = {}

    def identify(self, authorization: bytes | None) -> Agent:
        """Raises NoToken."""
        if self.keys is None:
            return Agent(ANYBODY)
        if authorization is None or not authorization.removeprefix(_BEARER).strip():
            raise NoToken("there is no token: name its file with --token-file")
        agent = self._known.get(authorization)
        if agent is None or wall_clock() >= agent.expires_at:
            agent = self._look(authorization, self.keys)
        self._count(agent)
        if agent.token in self._revoked:
            raise NoToken(
                f"the token of {agent.name} was revoked: have another one issued "
                f"(wsup token issue {agent.name})"
            )
        return agent

    def _count(self, agent: Agent) -> None:
        """Raises TooMany if this agent asks more than it may: a token bucket."""
        now = time.monotonic()
        left, at = self._left.get(agent.token, (MOST_REQUESTS, now))
        left = min(MOST_REQUESTS, left + (now - at) * MOST_REQUESTS)
        if left < 1:
            raise TooMany(
                f"{agent.name} asks more than {MOST_REQUESTS:g} times a second: give each of its "
                "hosts a token of its own"
            )
        self._left[agent.token] = left - 1, now

    def _look(self, authorization: bytes, keys: Keys) -> Agent:
        try:
            grant = self._read(authorization.removeprefix(_BEARER).decode("ascii", "replace"), keys)
        except BadToken as error:
            raise NoToken(str(error)) from None
        agent = Agent(
            grant.agent,
            None if grant.queues is None else frozenset(grant.queues),
            frozenset(grant.verbs),
            grant.id,
            grant.expires_at,
            grant.expires_at - grant.issued_at,
        )
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
            self._left.clear()
        self._known[authorization] = agent
        return agent

    def _read(self, token: str, keys: Keys) -> Grant:
        """Raises BadToken."""
        try:
            return keys.read(token)
        except UnknownKey:
            if self._file is None or time.monotonic() - self._reread_at < REREAD_SECONDS:
                raise
            return (self.reread() or keys).read(token)

    def reread(self) -> Keys | None:
        """The keys that are in the file now are good, and no others. If it can't be read, those
        from before stay."""
        if self._file is None:
            return None
        self._reread_at = time.monotonic()
        try:
            keys = Keys.load(self._file)
        except ConfigError as error:
            log.error("the keys can't be read, the old ones stay: %s", error)
            return self.keys
        if self.keys is None or keys.secrets != self.keys.secrets:
            log.info("the keys are others now: %s", ", ".join(keys.names))
            self.keys = keys
            self._known.clear()
        return self.keys

    async def renew(self, agent: Agent) -> str:
        """A token that is good for as long again. Raises NoToken, SourceLost."""
        if self.keys is None:
            return ""
        now = wall_clock()
        queues = None if agent.queues is None else tuple(sorted(agent.queues))
        until = now + agent.lifetime
        grant = Grant(agent.token, agent.name, queues, tuple(sorted(agent.verbs)), now, until)
        if not await self._serving.extend_token(grant, self.keys.signing):
            raise NoToken(
                f"the token of {agent.name} was revoked, or not issued for this database: have "
                f"another one issued (wsup token issue {agent.name})"
            )
        log.info("the token of %s is renewed", agent.name)
        return self.keys.sign(grant)

    async def refresh(self) -> bool:
        """Look which tokens are revoked; returns whether they are others now. Raises SourceLost."""
        before, self._revoked = self._revoked, await self._serving.revoked_tokens()
        return not self._revoked <= before
