"""`wsup start`: from the first try to connect to the last commit."""

import asyncio
import faulthandler
import gc
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from ..config.errors import ConfigError, DatabaseError, UsageError
from ..config.settings import Settings
from ..sql.answers import SourceLost
from ..subworkers.kinship import adopt_orphans
from . import log as logs
from .control import ControlSocket, Reply
from .generation import AppFailed
from .link import Link
from .member import Member
from .pidfile import PidFile
from .pulse import Pulse
from .signals import Signals
from .source import Origin
from .status import in_lines, supervisor_status
from .supervisor import Supervisor
from .systemd import Systemd
from .watchdog import Watchdog

log = logging.getLogger("wsup")

#: New objects between two looks of the garbage collector at the youngest of them.
GC_THRESHOLD = 50_000
#: Seconds that the subworkers have to write down their stacks.
STACKS_SECONDS = 0.2
#: Seconds that a stop goes on trying to commit results, once no job runs any more.
COMMIT_SECONDS = 10.0


def run(settings: Settings, origin: Origin, reload: Callable[[], Settings]) -> int:
    """Run a supervisor until it is told to stop; returns the exit code.

    `reload` reads the settings again. Raises UsageError for what the user must mend first.
    """
    logs.configure(settings.log_level, settings.log_format)
    faulthandler.enable()  # systemd's watchdog sends SIGABRT: the log then says where we hung
    pidfile = PidFile(Path(settings.run_dir) / "wsup.pid")
    pidfile.take()
    try:
        origin.first_look(settings.connect_tries)
        adopt_orphans()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(Run(settings, origin, reload, pidfile).run())
    finally:
        pidfile.release()


def _log_stacks(members: list[Member]) -> None:
    for member in members:
        if stacks := member.stacks():
            log.info("%s is here:\n%s", member, stacks)


class Run:
    """One life of a supervisor: start, reload, pause, stop."""

    def __init__(
        self,
        settings: Settings,
        origin: Origin,
        reload: Callable[[], Settings],
        pidfile: PidFile,
    ) -> None:
        self._supervisor = Supervisor(settings, origin)
        self._read_settings = reload
        self._pidfile = pidfile
        self._systemd = Systemd()
        self._link = Link(self._supervisor)
        watchdog = Watchdog(self._supervisor, self._systemd)
        self._pulse = Pulse(self._supervisor, self._link, watchdog, self._systemd.watchdog)
        self._stop_asked = asyncio.Event()
        self._now_asked = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._signals = Signals(
            stop=self._stop_asked.set,
            stop_now=self._ask_now,
            reload=self._reload_soon,
            report=self._report,
            toggle_pause=self._toggle_pause,
            more=lambda: self._resize(+1),
            fewer=lambda: self._resize(-1),
        )
        self._control = ControlSocket(
            Path(settings.run_dir) / "wsup.sock",
            {
                "status": lambda: {"ok": True, "status": supervisor_status(self._supervisor)},
                "pause": self._pause,
                "resume": self._resume,
                "reload": self.reload,
                "stop": self._stop_verb,
            },
        )

    async def run(self) -> int:
        supervisor = self._supervisor
        self._signals.start()
        starting = self._spawn(self._start())
        asked = self._spawn(self._stop_asked.wait())
        await asyncio.wait((starting, asked), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
        elif error := starting.exception():
            supervisor.pool.kill()
            supervisor.pool.stop_template()
            if isinstance(error, AppFailed):
                raise UsageError(str(error))
            raise DatabaseError(str(error)) if isinstance(error, SourceLost) else error
        await self._stop_asked.wait()
        return await self._stop()

    async def _start(self) -> None:
        supervisor = self._supervisor
        self._systemd.status(f"importing {supervisor.settings.app}")
        await supervisor.load(supervisor.settings)
        await self._link.connect(first=self._pidfile.predecessor)
        self._pidfile.write({"pid": os.getpid(), "supervisor": supervisor.source.supervisor})
        await self._control.start()
        self._turning = self._spawn(supervisor.turns.run())
        for vital in (
            self._turning,
            *map(self._spawn, (self._pulse.run(), self._pulse.beat())),
            *map(self._spawn, (supervisor.schedules.run(), supervisor.limits.run())),
        ):
            vital.add_done_callback(self._mind)
        supervisor.wake()
        # What is here now stays. Jobs come and go as tuples, by the thousand, and form no cycles.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        size, queues = supervisor.settings.subworkers, ", ".join(supervisor.turns.queues)
        log.info("ready: %d subworkers, queues %s, %s", size, queues, supervisor.origin.name)
        self._systemd.ready(f"{size} subworkers, queues {queues}")

    # verbs --------------------------------------------------------------------------------------

    async def reload(self) -> Reply:
        """Read the settings and import the app again; the old ones work on until it's done."""
        supervisor = self._supervisor
        async with self._reloading:
            if supervisor.stopping:
                return {"ok": False, "error": "the supervisor is stopping"}
            self._systemd.reloading()
            try:
                await supervisor.load(self._read_settings())
            except (ConfigError, AppFailed) as error:
                log.error("not reloaded, the old code works on: %s", error)
                return {"ok": False, "error": f"not reloaded, the old code works on: {error}"}
            finally:
                self._systemd.ready(f"{supervisor.pool.size} subworkers")
            generation = supervisor_status(supervisor)["generation"]
            log.info("reloaded: generation %d, %d subworkers", generation, supervisor.pool.size)
            supervisor.wake()
            return {"ok": True, "generation": generation, "subworkers": supervisor.pool.size}

    async def _pause(self) -> Reply:
        """Said once it is true: a pull may be under way."""
        supervisor = self._supervisor
        supervisor.set_paused(True)
        async with supervisor.turns.quiet:
            await self._want_nothing()
            if supervisor.paused:
                log.info("paused: no more jobs are pulled")
        return {"ok": True, "state": supervisor.state}

    async def _want_nothing(self) -> None:
        """What was on its way has come."""
        try:
            await self._supervisor.source.want_nothing()
        except SourceLost as error:
            log.debug("%s: what was on its way is found when the claims are compared", error)

    async def _resume(self) -> Reply:
        self._supervisor.set_paused(False)
        log.info("resumed")
        return {"ok": True, "state": self._supervisor.state}

    def _toggle_pause(self) -> None:
        self._spawn(self._resume() if self._supervisor.paused else self._pause())

    def _resize(self, by: int) -> None:
        pool = self._supervisor.pool
        pool.resize(pool.size + by)
        log.info("%d subworkers from now on", pool.size)

    def _report(self) -> None:
        for line in in_lines(supervisor_status(self._supervisor)):
            log.info("%s", line)
        members = list(self._supervisor.pool.members)
        for member in members:
            member.ask_for_stacks()
        asyncio.get_running_loop().call_later(STACKS_SECONDS, _log_stacks, members)

    def _reload_soon(self) -> None:
        self._spawn(self.reload())

    def _ask_now(self) -> None:
        self._now_asked.set()
        self._stop_asked.set()

    def _stop_verb(self) -> Reply:
        self._stop_asked.set()
        return {"ok": True}

    # the end ------------------------------------------------------------------------------------

    async def _stop(self) -> int:
        """Finish what runs, give back the rest, commit it all, leave nothing behind."""
        supervisor = self._supervisor
        self._systemd.stopping()
        log.info("stopping")
        supervisor.begin_stop()
        if not self._now_asked.is_set():
            supervisor.pool.leave()
        nothing_comes = self._spawn(self._want_nothing())
        await self._until_empty(0 if self._now_asked.is_set() else supervisor.settings.grace)
        await nothing_comes
        supervisor.turns.stop()
        if self._turning is not None:
            await asyncio.wait((self._turning,))
        kept = await self._commit_rest()
        supervisor.pool.stop_template()
        await self._link.leave()
        await self._control.stop()
        self._signals.stop()
        for task in self._tasks:
            task.cancel()
        if kept:
            log.error("%d results could not be committed; their jobs will run again", kept)
        log.info("stopped: %d jobs done", supervisor.meter.done)
        return 1 if kept or self._faulty else 0

    def _mind(self, vital: asyncio.Task[Any]) -> None:
        """Without its turns or its pulse a supervisor would only seem to live: end it, and have
        it started again."""
        if not vital.cancelled() and (error := vital.exception()):
            log.critical("a fault of wsup's own; stopping", exc_info=error)
            self._faulty = True
            self._ask_now()

    async def _until_empty(self, grace: float) -> None:
        """Wait for the subworkers to end, at most `grace` seconds or until told to hurry."""
        pool = self._supervisor.pool
        gone = self._spawn(pool.emptied.wait())
        hurry = self._spawn(self._now_asked.wait())
        if not pool.members:
            return
        if grace > 0:
            await asyncio.wait((gone, hurry), timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        if pool.members:
            running = sum(1 for member in pool.members if member.held)
            log.warning("ending %d subworkers that still run jobs; these are given back", running)
            pool.kill()
            await gone

    async def _commit_rest(self) -> int:
        """Commit the last results; returns how many could not be."""
        supervisor = self._supervisor
        deadline = time.monotonic() + COMMIT_SECONDS
        gather = supervisor.gather
        while (gather.finished or gather.notes) and time.monotonic() < deadline:
            if not await supervisor.turns.take():
                await self._link.reconnected(deadline - time.monotonic())
        return len(gather.finished)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    _turning: asyncio.Task[Any] | None = None
    _faulty = False
