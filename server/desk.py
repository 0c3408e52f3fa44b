"""The verbs of the protocol, each by the agent that its token names."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version

from ..remote import protocol
from ..sql.answers import CancelRequest, SourceLost, Turn
from ..sql.serving import Sign
from ..sql.settlement import Entry
from ..sql.settlement import size as entry_size
from ..sql.source import PostgresSource
from .agent import Agent
from .ask import Ask
from .ears import Ears
from .errors import NotLet, Unversed
from .life import Life
from .tables import Tables
from .turns import Turns
from .verb import Given, Verb


class Desk:
    def __init__(
        self,
        source: PostgresSource,
        turns: Turns,
        ears: Ears,
        life: Life,
        tables: Tables,
        *,
        most_bytes: int,
    ) -> None:
        self._source = source
        self._turns = turns
        self._ears = ears
        self._life = life
        self.tables = tables
        self._most_bytes = most_bytes
        #: Makes a new token of an agent's.
        self.renew: Callable[[Agent], Awaitable[str]] = _no_token
        #: By the number of a supervisor, the agent whose it is.
        self._owners: dict[int, str] = {}
        self.verbs = self._verbs()

    def _verbs(self) -> dict[str, Verb]:
        p = protocol
        claims = list[tuple[int, int, int]]
        return {
            "hello": Verb("Agree on a version.", p.Hello, self._hello, p.Welcome),
            "register": Verb("Enter a supervisor.", p.Registration, self._register, p.Registered),
            "turn": Verb("Results up, jobs down.", p.TurnRequest, self._turn, p.TurnReply),
            "beat": Verb("Give a sign of life.", p.BeatRequest, self._beat, p.BeatReply),
            "time": Verb("Tell the database's time.", None, self._time, float),
            "renew": Verb("Renew the token.", None, self._renew, str),
            "claims": Verb("Tell what it holds.", p.ClaimsRequest, self._claims, claims),
            "cancelling": Verb(
                "Tell what to cancel.", p.About, self._cancelling, list[CancelRequest]
            ),
            "predecessor": Verb("Is it known?", p.PredecessorRequest, self._predecessor, bool),
            "rescue": Verb("Bury a dead one.", p.RescueRequest, self._rescue, int),
            "leave": Verb("Say goodbye.", p.About, self._leave, None),
            **self.tables.verbs(),
        }

    async def _owned(self, agent: Agent, supervisor: int) -> None:
        """Raises NotLet if that supervisor is not this agent's; who is buried, everybody's."""
        owner = self._owners.get(supervisor)
        if owner is None:
            found = await self._source.serving.agent_of(supervisor)
            if found is None:
                raise NotLet(f"supervisor {supervisor} is not known here: register anew")
            owner, lease = found
            self._own(supervisor, owner, lease)
        if owner != agent.name:
            raise NotLet(f"supervisor {supervisor} is not {agent.name}'s: use its own token")

    def _own(self, supervisor: int, owner: str, lease: float) -> None:
        self._owners[supervisor] = owner
        self._life.know(supervisor, lease)

    async def _hello(self, agent: Agent, hello: protocol.Hello) -> protocol.Welcome:
        if not self._source.connected:
            raise SourceLost(f"the server has lost its database: {self._source.loss}")
        newest = min(hello.newest, protocol.NEWEST)
        if newest < max(hello.oldest, protocol.OLDEST):
            raise Unversed(
                f"wsup {hello.version} speaks protocols {hello.oldest} to {hello.newest}, this "
                f"server, wsup {version('wsup')}, {protocol.OLDEST} to {protocol.NEWEST}: upgrade "
                f"the {'server' if hello.oldest > protocol.NEWEST else 'agent'}"
            )
        verbs = tuple(sorted(agent.verbs))
        return protocol.Welcome(newest, version("wsup"), self._most_bytes, verbs)

    async def _register(self, agent: Agent, row: protocol.Registration) -> protocol.Registered:
        self._let(agent, row.queues)
        number = await self._source.serving.register(
            agent.name, host=row.host, pid=row.pid, version=row.version, queues=row.queues,
            subworkers=row.subworkers, lease=row.lease, cpus=row.cpus,
        )  # fmt: skip
        self._own(number, agent.name, row.lease)
        return protocol.Registered(number)

    def _let(self, agent: Agent, queues: list[str]) -> None:
        if others := agent.may_pull(queues):
            raise NotLet(
                f"the token of {agent.name} doesn't allow queue {others[0]!r}: have one issued "
                f"that does (wsup token issue --queues …), or leave it out"
            )

    # the turn -----------------------------------------------------------------------------------

    async def _turn(self, agent: Agent, request: protocol.TurnRequest) -> Given:
        await self._owned(agent, request.supervisor)
        self._let(agent, request.queues)
        self._life.hear(request.supervisor)
        queues = tuple(sorted(request.queues))
        if request.ear:
            ask = Ask(request.supervisor, (), (), queues, request.most, request.rooms, waits=True)
            turn, heard = await self._ears.wait(ask, request.ear)
            return self._given(ask, turn, heard)
        entries: list[Entry] = [*request.over, *request.back, *request.failed]
        notes = request.notes
        size = sum(map(entry_size, entries)) + sum(note.size for note in notes)
        ask = Ask(
            request.supervisor, entries, notes, queues, request.most, request.rooms, size=size
        )
        self._turns.ask(ask)
        return self._given(ask, await ask.answer, [])

    def _given(self, ask: Ask, turn: Turn, heard: list[str]) -> Given:
        if turn.rows:
            self._life.busy()
        reply = _reply(turn)
        reply.heard = heard
        return Given(reply, ask.supervisor, turn.rows)

    def give_back(self, given: Given) -> None:
        """Its client has hung up."""
        self._turns.give_back(given.supervisor, given.rows)

    # the rest -----------------------------------------------------------------------------------

    async def _beat(self, agent: Agent, request: protocol.BeatRequest) -> protocol.BeatReply:
        await self._owned(agent, request.supervisor)
        shares = (*request.occupancy, None, None, None)[:3]
        sign = Sign(request.jobs_done, request.memory, (shares[0], shares[1], shares[2]))
        self._life.hear(request.supervisor, sign)
        alive = await self._life.is_alive(request.supervisor)
        if not alive:
            self._owners.pop(request.supervisor, None)
        cancelling = request.supervisor in self._life.cancelling
        due = agent.is_due(self._life.now())
        return protocol.BeatReply(alive, cancelling, self._life.now(), due)

    async def _renew(self, agent: Agent, request: None) -> str:
        return await self.renew(agent)

    async def _time(self, agent: Agent, request: None) -> float:
        return await self._source.server_time()

    async def _claims(
        self, agent: Agent, request: protocol.ClaimsRequest
    ) -> list[tuple[int, int, int]]:
        await self._owned(agent, request.supervisor)
        if request.routine and self._life.is_idle(request.supervisor):
            return []
        held = await self._source.own_claims(request.since, request.supervisor)
        return [(one.claim, one.job, one.attempt) for one in held]

    async def _cancelling(self, agent: Agent, request: protocol.About) -> list[CancelRequest]:
        await self._owned(agent, request.supervisor)
        return await self._source.cancelling(request.supervisor)

    async def _predecessor(self, agent: Agent, request: protocol.PredecessorRequest) -> bool:
        found = await self._source.serving.agent_of(request.supervisor)
        return (
            found is not None
            and found[0] == agent.name
            and await self._source.predecessor(request.supervisor, request.host, request.pid)
        )

    async def _rescue(self, agent: Agent, request: protocol.RescueRequest) -> int:
        await self._owned(agent, request.dead)
        self._owners.pop(request.dead, None)
        freed = await self._source.rescue(request.dead, request.max_lost)
        self._turns.go()
        return freed

    async def _leave(self, agent: Agent, request: protocol.About) -> None:
        await self._owned(agent, request.supervisor)
        del self._owners[request.supervisor]
        self._ears.forget(request.supervisor)
        await self._source.serving.leave(request.supervisor)


async def _no_token(agent: Agent) -> str:
    return ""


def _reply(turn: Turn) -> protocol.TurnReply:
    return protocol.TurnReply(
        turn.rows,
        turn.refused,
        sorted({entry.claim for entry in turn.deferred}),
        sorted({note.claim for note in turn.deferred_notes}),
        [protocol.Ended(entry.claim, entry.job) for entry in turn.culprits],
    )
