"""What goes wrong with a peer: its run has no figures, and the others go on.

BenchError
└── PeerError
    ├── NotInstalled    it can't be installed here
    ├── Unsupported     it has no such feature
    ├── PeerFailed      it raised, ended, or took too long
    └── JobsWrong       a job was lost, or what the system keeps of it is not right
"""

from ..errors import BenchError


class PeerError(BenchError):
    """There is no figure for this system."""


class NotInstalled(PeerError):
    """It can't be installed here."""


class Unsupported(PeerError):
    """It has no such feature."""


class PeerFailed(PeerError):
    """It raised, ended, or took too long."""


class JobsWrong(PeerError):
    """A job was lost, or what the system keeps of it is not right."""
