"""Hosts of their own on one machine: network namespaces around a switch, with links that can be cut. Linux only."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self

CLONE_NEWNET = 0x40000000  # linux/sched.h
HUB = "hub"
SWITCH = "switch"
LINK = "eth0"
NETWORK = "192.0.2."
"""For documentation (RFC 5737): no real host has such an address, and what is documented runs here as it stands."""

OWN_NAMESPACE = "/proc/thread-self/ns/net"


class NamespacesError(Exception):
    """This system allows no network namespaces; the text says why, without a full stop."""


class Network:
    """Hosts 192.0.2.1, 192.0.2.2, ... by name, and the hub with the switch between them, 192.0.2.254; a context.

    Nothing of it is seen outside: the namespaces have no names, and end with this and the processes in them.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        """Makes it. Raises NamespacesError."""
        if why := why_impossible():
            raise NamespacesError(why)
        self.addresses = {host: f"{NETWORK}{number}" for number, host in enumerate(hosts, start=1)}
        self._ends = ExitStack()
        self._namespaces: dict[str, int] = {}
        try:
            for host in (HUB, *hosts):
                self._namespaces[host] = _new_namespace()
                self._ends.callback(os.close, self._namespaces[host])
            self._connect(hosts)
        except BaseException:
            self._ends.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Lets this thread, and the threads and processes that it starts, be on that host."""
        with open(OWN_NAMESPACE) as here:
            _call("setns", self._namespaces[host], CLONE_NEWNET)
            try:
                yield
            finally:
                _call("setns", here.fileno(), CLONE_NEWNET)

    def cut(self, host: str) -> None:
        """Pulls the host's plug at the switch: what is sent to it or by it vanishes, without an error to anybody."""
        self._ip(HUB, f"link set {host} down")

    def mend(self, host: str) -> None:
        """Plugs it in again."""
        self._ip(HUB, f"link set {host} up")

    def _connect(self, hosts: Sequence[str]) -> None:
        lines = [f"link add name {SWITCH} type bridge", f"addr add {NETWORK}254/24 dev {SWITCH}"]
        lines += [f"link set {device} up" for device in ("lo", SWITCH)]
        for host in hosts:
            end = f"/proc/{os.getpid()}/fd/{self._namespaces[host]}"
            lines.append(f"link add name {host} type veth peer name {LINK} netns {end}")
            lines.append(f"link set {host} master {SWITCH} up")
        self._ip(HUB, *lines)
        for host in hosts:
            up = [f"link set {device} up" for device in ("lo", LINK)]
            self._ip(host, f"addr add {self.addresses[host]}/24 dev {LINK}", *up)

    def _ip(self, host: str, *lines: str) -> None:
        with self.inside(host):
            command = ["ip", "-batch", "-"]
            done = subprocess.run(
                command, input="\n".join(lines), capture_output=True, text=True, check=False, timeout=10
            )
        if done.returncode:
            raise NamespacesError(f"ip: {' '.join(done.stderr.split())}")


def why_impossible() -> str:
    """Why there can be no network namespaces here, without a full stop; empty where there can."""
    if sys.platform != "linux":
        return "they are of Linux alone"
    if shutil.which("ip") is None:
        return "there is no ip on PATH: install Debian's package iproute2"
    try:
        os.close(_new_namespace())
    except OSError as error:
        return f"{error.strerror}: root may make them"
    return ""


def _new_namespace() -> int:
    """Makes a namespace, and returns a descriptor that holds it. Raises OSError."""
    with open(OWN_NAMESPACE) as here:
        _call("unshare", CLONE_NEWNET)
        try:
            return os.open(OWN_NAMESPACE, os.O_RDONLY)
        finally:
            _call("setns", here.fileno(), CLONE_NEWNET)


def _call(function: str, *arguments: int) -> None:
    """Calls what libc has for this thread alone. Raises OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), function)
