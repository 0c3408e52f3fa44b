"""What lies between the hosts of a `Network`: takes each packet, loses it, or passes it on later.

A program of its own, `packets.py FD=ADDRESS …`: the descriptors are tun devices. A line of JSON on
standard input says how bad the network is from now on, and is answered by how many packets have
passed, and how many were lost. It ends when standard input does.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import select
import socket
import sys
import time
from itertools import count

#: Bytes that a packet may have.
MTU = 1500
#: Packets that are taken from one host before the others are looked at.
AT_ONCE = 64
#: Where the address of who is to get it stands in an IPv4 packet.
TO = slice(16, 20)


class Packets:
    def __init__(self, hosts: dict[int, str]) -> None:
        self._addresses = {fd: socket.inet_aton(address) for fd, address in hosts.items()}
        self._fds = {address: fd for fd, address in self._addresses.items()}
        self._cut: set[bytes] = set()
        self._loss = self._delay = 0.0
        self._late: list[tuple[float, int, bytes]] = []
        self._numbers = count()
        self._chance = random.Random(7)
        self.passed = self.lost = 0

    def run(self) -> None:
        """Until standard input ends."""
        commands = sys.stdin.fileno()
        watched = [commands, *self._addresses]
        while True:
            pause = None
            if self._late:
                pause = max(0.0, self._late[0][0] - time.monotonic())
            ready = select.select(watched, [], [], pause)[0]
            self._deliver()
            for fd in ready:
                if fd != commands:
                    self._take(fd)
                elif not self._obey(sys.stdin.readline()):
                    return

    def _obey(self, line: str) -> bool:
        if not line:
            return False
        said = json.loads(line)
        self._loss, self._delay = said["loss"], said["delay"]
        self._cut = {socket.inet_aton(address) for address in said["cut"]}
        print(json.dumps([self.passed, self.lost]), flush=True)
        return True

    def _take(self, fd: int) -> None:
        for _ in range(AT_ONCE):
            try:
                packet = os.read(fd, MTU)
            except BlockingIOError:
                return
            to = packet[TO]
            if to not in self._fds or to in self._cut or self._addresses[fd] in self._cut:
                continue
            if self._loss and self._chance.random() < self._loss:
                self.lost += 1
            elif self._delay:
                at = time.monotonic() + self._delay
                heapq.heappush(self._late, (at, next(self._numbers), packet))
            else:
                self._pass(packet)

    def _deliver(self) -> None:
        while self._late and self._late[0][0] <= time.monotonic():
            self._pass(heapq.heappop(self._late)[2])

    def _pass(self, packet: bytes) -> None:
        self.passed += 1
        to = packet[TO]
        if to not in self._cut:
            try:
                os.write(self._fds[to], packet)
            except OSError:
                self.lost += 1


if __name__ == "__main__":
    given = (argument.partition("=") for argument in sys.argv[1:])
    Packets({int(fd): address for fd, _, address in given}).run()
