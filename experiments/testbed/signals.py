"""Signals that ask an experiment to stop: noted at once, acted upon where the experiment waits.

A signal never breaks into the start of a process, so no process can be left behind half registered.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from cli import CommandError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_EVERY_S = 0.05


class InterruptedBySignalError(CommandError):
    """Somebody asked the experiment to stop (Ctrl-C, SIGTERM, a closed terminal)."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_status = 128 + signum


class StopRequest:
    """Whether somebody asked the experiment to stop. Safe to set from a signal handler: it takes no lock."""

    def __init__(self) -> None:
        self._signum: int | None = None

    def note(self, signum: int, _frame: FrameType | None = None) -> None:
        """Note the first request; further ones change nothing, so that clearing up is not broken off."""
        if self._signum is None:
            self._signum = signum

    def check(self) -> None:
        """Raise InterruptedBySignalError when a stop was asked for."""
        if self._signum is not None:
            raise InterruptedBySignalError(self._signum)

    def wait(self, seconds: float) -> None:
        """Wait, and raise InterruptedBySignalError within LOOK_EVERY_S of a request to stop."""
        deadline = time.monotonic() + seconds
        self.check()
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_EVERY_S))
            self.check()


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGHUP into a StopRequest for as long as the context lasts."""
    request = StopRequest()
    before: dict[signal.Signals, Any] = {}
    for signum in STOP_SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:  # nohup keeps its meaning
            before[signum] = signal.signal(signum, request.note)
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
