"""Signals: a handler only notes what was asked and wakes the loop; the work is done there."""

import asyncio
import logging
import signal
from collections.abc import Callable

log = logging.getLogger("wsup.signals")


class Signals:
    """The verbs that a supervisor is told by signals."""

    def __init__(
        self,
        *,
        stop: Callable[[], None],
        stop_now: Callable[[], None],
        reload: Callable[[], None],
        report: Callable[[], None],
        toggle_pause: Callable[[], None],
        more: Callable[[], None],
        fewer: Callable[[], None],
    ) -> None:
        self._verbs = {
            signal.SIGTERM: stop,
            signal.SIGINT: stop_now,
            signal.SIGQUIT: stop_now,
            signal.SIGHUP: reload,
            signal.SIGUSR1: report,
            signal.SIGUSR2: toggle_pause,
            signal.SIGTTIN: more,
            signal.SIGTTOU: fewer,
        }

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        for signum, verb in self._verbs.items():
            loop.add_signal_handler(signum, self._heard, signum, verb)

    def stop(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in self._verbs:
            loop.remove_signal_handler(signum)

    def _heard(self, signum: int, verb: Callable[[], None]) -> None:
        log.info("%s", signal.Signals(signum).name)
        verb()
