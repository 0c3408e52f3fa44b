"""What the server's clock says, for the subworkers: jobs start and end by that one.

Nothing here goes by this host's wall clock. The server tells its time at every beat; in between,
the monotonic clock counts on. An answer tells two bounds: its time was not before it was asked, and
not after it was heard. Of what is known already as much is kept as fits between them, so that a
slow answer spoils nothing, and a clock that was set is believed.
"""

from collections.abc import Callable, Sequence

from .member import Member


class ServerClock:
    def __init__(self, members: Callable[[], Sequence[Member]]) -> None:
        self._members = members
        #: By how much the server's clock is ahead of the monotonic one, in ns; 0: not known yet.
        self._ahead = 0

    def tell(self, server: float, asked: float, heard: float) -> None:
        """The server's clock said `server`, in seconds since 1970; it was asked and heard at these
        times on `time.monotonic()`."""
        least, most = int((server - heard) * 1e9), int((server - asked) * 1e9)
        self._ahead = min(max(self._ahead, least), most) if self._ahead else least
        for member in self._members():
            self.show(member)

    def show(self, member: Member) -> None:
        """Let a subworker know."""
        member.memory.board.set_clock(max(0, self._ahead))  # the board has no room for less
