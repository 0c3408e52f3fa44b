"""What goes wrong with a measurement."""


class BenchError(Exception):
    """A job was lost, repeated or failed, or something never came: the figures mean nothing."""
