"""Errors that a user can mend.

WsupError
└── UsageError              a wrong flag, key, value, name: one line, exit code 2
    ├── ConfigError         … in a setting, wherever it came from
    └── DatabaseError       … with the database that the settings name
        └── Unreachable     … it can't be connected to, now
"""


class WsupError(Exception):
    """Something went wrong in wsup."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UsageError(WsupError):
    """This can't be done as it was asked for."""


class ConfigError(UsageError):
    """A setting is wrong."""


class DatabaseError(UsageError):
    """The database can't be used."""


class Unreachable(DatabaseError):
    """The database can't be connected to."""
