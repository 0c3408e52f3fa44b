"""What goes wrong with a soak, other than what it is there to find."""


class SoakError(Exception):
    """The soak could not be run: nothing is known about wsup."""
