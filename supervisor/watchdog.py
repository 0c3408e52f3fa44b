"""What the service manager hears of us: how we are, and a sign of each bit of progress."""

import time
from typing import TYPE_CHECKING

from .systemd import Systemd

if TYPE_CHECKING:
    from .supervisor import Supervisor

#: Seconds that results may wait for a commit before the status says so.
STUCK_SECONDS = 2.0


class Watchdog:
    """Feeds systemd's watchdog as long as there is progress.

    That this is called shows that the loop runs. While results wait, they must also be committed:
    a supervisor that runs jobs and can't keep what they gave is better started anew.
    """

    def __init__(self, supervisor: "Supervisor", systemd: Systemd) -> None:
        self._supervisor = supervisor
        self._systemd = systemd
        self._commits = 0
        self._progress_at = time.monotonic()
        self._told = ""

    def look(self) -> None:
        """To be called twice within the watchdog's time, or more often."""
        commits = self._supervisor.turns.commits
        if not self._waiting() or commits > self._commits:
            self._commits = commits
            self._progress_at = time.monotonic()
            self._systemd.progress()
        if (text := self._text()) != self._told:
            self._told = text
            self._systemd.status(text)

    def _waiting(self) -> int:
        """Results that are here and not known to be committed."""
        return len(self._supervisor.gather.finished) + len(self._supervisor.turns.sending)

    def _text(self) -> str:
        supervisor = self._supervisor
        members = supervisor.pool.current
        busy = sum(1 for member in members if member.held)
        words = [
            f"{supervisor.state}: {busy} of {len(members)} subworkers busy",
            f"{supervisor.meter.done} jobs done",
            f"{supervisor.meter.rate.values[0]:.1f} jobs/s",
        ]
        if not supervisor.source.connected:
            words.append("not connected to the database")
        if (stuck := time.monotonic() - self._progress_at) > STUCK_SECONDS:
            words.append(f"{self._waiting()} results not committed for {stuck:.0f} s")
        return ", ".join(words)
