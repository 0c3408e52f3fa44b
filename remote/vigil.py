"""Noticing that the other end can't be reached any more, though no packet says so."""

import asyncio
import socket


def keep(transport: asyncio.BaseTransport, seconds: float) -> None:
    """Have the connection end when nothing of what it has sent has arrived for so long.

    Also while nobody sends anything: then the kernel asks, at no cost to either program. An answer
    that is long in coming is none of its business.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Asked from the half of the time on: on a bad network one lost packet means nothing.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(seconds / 2)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
