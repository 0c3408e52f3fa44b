"""What a server asks the database for the sake of those whom it serves."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from ..config.tokens import Grant
from .answers import Beat
from .arrays import bigints, integers, reals
from .session import Session


class Sign(NamedTuple):
    """A sign of life of one that is served; None: what it said before."""

    jobs_done: int | None = None
    #: Bytes.
    memory: int | None = None
    #: Over 15 s, 5 min, 30 min.
    occupancy: tuple[float | None, float | None, float | None] = (None, None, None)


class Serving:
    """The statements; each raises SourceLost."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def register(self, agent: str, **columns: object) -> int:
        """Enter the row of one that is served. Returns its number."""
        row = await self._session.row("register_served", {"agent": agent, **columns})
        return int(row[0])

    async def agent_of(self, supervisor: int) -> tuple[str, float] | None:
        """Under which name it has registered, and its lease in seconds; None: it hasn't, or is
        buried."""
        row = await self._session.row("agent_of", [supervisor])
        return None if row is None else (str(row[0]), float(row[1]))

    async def cancel_holders(self) -> set[int]:
        """The supervisors that hold a job which is to be cancelled."""
        return set(await self._session.rows("cancel_holders", [], lambda row: row[0]))

    async def leave(self, supervisor: int) -> None:
        await self._session.row("leave", {"supervisor": supervisor})

    async def extend_token(self, grant: Grant, key: str) -> bool:
        """It is renewed. False if it is revoked, or none that was issued here."""
        until = datetime.fromtimestamp(grant.expires_at, UTC)
        parameters = {"id": grant.id, "key": key, "expires_at": until}
        return await self._session.row("token_extend", parameters) is not None

    async def revoked_tokens(self) -> set[str]:
        """Their numbers."""
        return set(await self._session.rows("tokens_revoked", [], lambda row: row[0]))

    async def beat(
        self,
        server: int,
        queues: list[str],
        signs: Mapping[int, Sign],
        *,
        memory: int,
        jobs_done: int,
        tell: bool,
    ) -> tuple[Beat, set[int], set[int]]:
        """The server's own sign of life, and those of others. Returns also who of these lives, and
        who has jobs."""
        given = list(signs.values())
        row = await self._session.row(
            "beat_served",
            {
                "supervisor": server,
                "queues": queues,
                "memory": memory,
                "jobs_done": jobs_done,
                "tell": tell,
                "supervisors": integers(list(signs)),
                "jobs_dones": bigints([sign.jobs_done or 0 for sign in given]),
                "memories": bigints([sign.memory or 0 for sign in given]),
                **{f"o{i + 1}": reals([sign.occupancy[i] for sign in given]) for i in range(3)},
            },
        )
        return Beat(*row[:7]), set(row[7] or ()), set(row[8] or ())
