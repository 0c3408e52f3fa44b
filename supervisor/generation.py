"""One template process: the user's app as it was imported once, and what is forked of it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import deque

from ..subworkers import wire
from ..subworkers.channel import Channel
from ..subworkers.declared import LimitInfo, QueueOrder, ScheduleInfo
from . import priority
from .member import Member


class AppFailed(Exception):
    """The app could not be loaded; the message is for the user to read."""


class TemplateDied(Exception):
    """The template has ended without being asked to."""


class Generation:
    """A template that has loaded the app; it outlives no supervisor, and may die at no cost."""

    def __init__(self, number: int, load: wire.Load) -> None:
        self.number = number
        self.load = load
        self.tasks: dict[str, wire.TaskInfo] = {}
        self.schedules: list[ScheduleInfo] = []
        self.queues: list[QueueOrder] = []
        self.limits: list[LimitInfo] = []
        self.warnings: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._answers: deque[asyncio.Future[wire.TemplateReport]] = deque()

    @property
    def alive(self) -> bool:
        return self._channel is not None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self, *, beside_jobs: bool = False) -> None:
        """Exec a template and have it import the app, behind the jobs that run meanwhile.

        Raises AppFailed, TemplateDied.
        """
        self._channel, theirs = Channel.pair()
        self._process = subprocess.Popen(  # noqa: ASYNC220  (exec'ed in a few milliseconds)
            [
                sys.executable, "-m", "wsup.subworkers.template",
                str(os.getpid()), str(theirs.fileno()),
            ],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,
        )  # fmt: skip
        theirs.close()
        stepped_back = beside_jobs and priority.step_back(self._process.pid)
        self._channel.setblocking(False)
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._receive)
        answer = await self._ask(self.load)
        if isinstance(answer, wire.NotLoaded):
            self.stop()
            raise AppFailed(answer.report)
        if stepped_back and self._process is not None:
            priority.come_back(self._process.pid)  # what it forks is to be like the old ones
        if isinstance(answer, wire.Loaded):
            self.tasks = {task.name: task for task in answer.tasks}
            self.schedules = answer.schedules
            self.queues = answer.queues
            self.limits = answer.limits
            self.warnings = answer.warnings

    async def fork(self, member: Member) -> int:
        """Have a subworker forked; returns its pid. Raises TemplateDied."""
        answer = await self._ask(wire.Fork(member.index), member.memory.fds)
        if not isinstance(answer, wire.Forked):
            raise TemplateDied("the template answered out of turn")
        return answer.pid

    def stop(self) -> None:
        """End the template; its subworkers go on. Idempotent."""
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        for waiting in self._answers:
            if not waiting.done():
                waiting.set_exception(TemplateDied("the template has ended"))
        self._answers.clear()

    async def _ask(
        self, order: wire.TemplateOrder, fds: tuple[int, ...] = ()
    ) -> wire.TemplateReport:
        if self._channel is None:
            raise TemplateDied("the template has ended")
        answer: asyncio.Future[wire.TemplateReport] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        try:
            self._channel.send(wire.encode(order), fds)
        except OSError as error:
            self.stop()
            raise TemplateDied(f"the template has ended: {error}") from error
        return await answer

    def _receive(self) -> None:
        if self._channel is None:
            return
        try:
            message, _ = self._channel.receive()
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self.stop()
            return
        waiting = self._answers.popleft()
        if not waiting.done():
            waiting.set_result(wire.decode_template_report(message))
