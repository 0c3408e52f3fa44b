"""Machines with addresses of their own, in network namespaces, on a network that can be made as bad
as need be: packets pass through a process (packets.py) that loses and delays them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
from itertools import count
from pathlib import Path

_TUN = "/dev/net/tun"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_numbers = count(1)


class NoNetworkError(Exception):
    """No network namespace can be made here."""


class Machine:
    """A namespace with one address. `within` runs a command there."""

    def __init__(self, address: str) -> None:
        """Raises OSError, subprocess.SubprocessError."""
        self.address = address
        number = next(_numbers)
        self.name = f"wsup{os.getpid()}h{number}"
        self.fd = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
        device = f"wt{os.getpid() % 100_000}n{number}"
        request = struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(self.fd, _TUNSETIFF, request)
        for command in (
            f"netns add {self.name}",
            f"link set {device} netns {self.name}",
            f"-n {self.name} link set lo up",
            f"-n {self.name} addr add {address}/24 dev {device}",
            f"-n {self.name} link set {device} up",
        ):
            _ip(command)

    @property
    def within(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    def remove(self) -> None:
        """Idempotent; what runs there keeps it until its end."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            _ip(f"netns del {self.name}")


class Network:
    """So many machines, and what is between them: each packet is lost with a probability of `loss`,
    and takes `delay` seconds; from and to those that are cut off, none passes."""

    def __init__(self, machines: int, first: str = "10.214.0.1") -> None:
        """Raises NoNetworkError."""
        self.loss = self.delay = 0.0
        self.passed = self.lost = 0
        self.machines: list[Machine] = []
        self._cut: set[str] = set()
        self._packets: subprocess.Popen[str] | None = None
        if os.geteuid() or not shutil.which("ip") or not Path(_TUN).exists():
            raise NoNetworkError("network namespaces need root, the program ip, and tun devices")
        net, _, number = first.rpartition(".")
        try:
            for n in range(machines):
                self.machines.append(Machine(f"{net}.{int(number) + n}"))
        except (OSError, subprocess.SubprocessError) as error:
            self.remove()
            raise NoNetworkError(f"no network namespace can be made here: {error}") from error
        self._begin()

    def _begin(self) -> None:
        fds = [machine.fd for machine in self.machines]
        named = [f"{machine.fd}={machine.address}" for machine in self.machines]
        self._packets = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("packets.py")), *named],
            pass_fds=fds,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is not for it: its end is that of its input
        )

    def be(self, *, loss: float | None = None, delay: float | None = None) -> None:
        """From now on, it is so bad."""
        self.loss = self.loss if loss is None else loss
        self.delay = self.delay if delay is None else delay
        self._tell()

    def cut(self, machine: Machine) -> None:
        """Nothing comes or goes."""
        self._cut.add(machine.address)
        self._tell()

    def join(self, machine: Machine) -> None:
        """It is no longer cut off."""
        self._cut.discard(machine.address)
        self._tell()

    def _tell(self) -> None:
        assert self._packets is not None
        assert self._packets.stdin is not None
        assert self._packets.stdout is not None
        said = {"loss": self.loss, "delay": self.delay, "cut": sorted(self._cut)}
        print(json.dumps(said), file=self._packets.stdin, flush=True)
        self.passed, self.lost = json.loads(self._packets.stdout.readline())

    def remove(self) -> None:
        """Idempotent."""
        packets, self._packets = self._packets, None
        if packets is not None:
            packets.communicate()
        machines, self.machines = self.machines, []
        for machine in machines:
            machine.remove()


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True, timeout=20)
