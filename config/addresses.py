"""Which addresses nobody else can reach, or listen to."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine's own loopback."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
