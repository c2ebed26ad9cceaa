"""Hosts of their own on one machine: network namespaces around a switch, with a link each that can be cut."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Self

import pytest

CLONE_NEWNET = 0x40000000
HUB = "hub"
LINK = "uplink"
_number = count()


class Network:
    """Hosts 10.83.0.1, 10.83.0.2, ... by name, all on one switch; a context. Needs Linux, iproute2 and the right to."""

    def __init__(self, hosts: Sequence[str]) -> None:
        """Makes it. Skips the test, with the reason, where the system does not allow it."""
        self.addresses = {host: f"10.83.0.{number}" for number, host in enumerate(hosts, start=1)}
        self._prefix = f"ha{os.getpid()}-{next(_number)}-"
        self._ends = ExitStack()
        if shutil.which("ip") is None:
            pytest.skip("no network namespaces: there is no ip on PATH: install Debian's package iproute2")
        try:
            self._build(hosts)
        except subprocess.CalledProcessError as error:
            self._ends.close()
            pytest.skip(f"no network namespaces: {' '.join(error.cmd)}: {error.stderr.decode().strip()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Lets this thread, and the threads and processes that it starts, be on that host."""
        with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{self._prefix}{host}") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())

    def cut(self, host: str) -> None:
        """Pulls the host's plug at the switch: what is sent to it or by it vanishes, without an error to anybody."""
        self._ip(HUB, "link", "set", host, "down")

    def mend(self, host: str) -> None:
        """Plugs it in again."""
        self._ip(HUB, "link", "set", host, "up")

    def _build(self, hosts: Sequence[str]) -> None:
        self._add(HUB)
        self._ip(HUB, "link", "add", "switch", "type", "bridge")
        self._ip(HUB, "link", "set", "switch", "up")
        for host in hosts:
            self._add(host)
            self._ip(HUB, "link", "add", host, "type", "veth", "peer", LINK, "netns", self._prefix + host)
            self._ip(HUB, "link", "set", host, "master", "switch", "up")
            self._ip(host, "addr", "add", f"{self.addresses[host]}/24", "dev", LINK)
            for device in ("lo", LINK):
                self._ip(host, "link", "set", device, "up")

    def _add(self, host: str) -> None:
        name = self._prefix + host
        _run("ip", "netns", "add", name)
        self._ends.callback(_run, "ip", "netns", "del", name)

    def _ip(self, host: str, *words: str) -> None:
        _run("ip", "-n", self._prefix + host, *words)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=10)


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
