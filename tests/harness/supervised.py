"""A supervised router: who serves, who is the spare, and the orders that a supervisor takes."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.harness.processes import Router
from tests.harness.waiting import wait_until

MIB = 1024 * 1024


class Supervised:
    """A router that was started with --supervise, whose own process is the supervisor."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self._spares_seen = 0

    @property
    def serving(self) -> int:
        """The process that serves."""
        pid: int = self.router.snapshot()["pid"]
        return pid

    def spares(self) -> list[int]:
        """Every process that has been ready as the spare so far."""
        lines = self.router.output().splitlines()
        return [int(line.split("process ")[1].split()[0]) for line in lines if line.endswith("is ready as the spare")]

    def wait_for_spare(self) -> int:
        """Waits until a spare is ready that was not there at the last call; returns its process."""
        wait_until(lambda: len(self.spares()) > self._spares_seen)
        self._spares_seen = len(self.spares())
        return self.spares()[-1]

    def upgrade(self) -> int:
        """Asks for an upgrade, and waits until another process serves and has a spare; returns it."""
        before = self.serving
        os.kill(self.router.pid, signal.SIGHUP)
        wait_until(lambda: self.serving != before)
        self.wait_for_spare()
        return self.serving

    def processes(self) -> list[psutil.Process]:
        """The supervisor and all that came of it."""
        supervisor = psutil.Process(self.router.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Waits at its end until all that ran at its beginning have ended."""
        processes = self.processes()
        yield
        wait_until(lambda: not [each for each in processes if each.is_running() and each.status() != "zombie"])


def memory_mib(process: psutil.Process) -> float:
    """What would be free without it: its own memory, and its share of what it shares."""
    return float(process.memory_full_info().pss) / MIB
