"""Signals that stop an experiment: recorded at once, acted upon where the experiment waits.

A signal never breaks into the start of a process, so no process can be left behind half registered.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cli import CommandError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_EVERY_S = 0.05


class InterruptedBySignalError(CommandError):
    """A signal stopped the experiment (Ctrl-C, SIGTERM, a closed terminal)."""

    def __init__(self, signum: int, meanwhile: str = "") -> None:
        """`meanwhile`: what it was waiting for, in words."""
        super().__init__(f"stopped by {signal.Signals(signum).name}" + (meanwhile and f": {meanwhile}"))
        self.signum = signum
        self.exit_status = 128 + signum


class StopRequest:
    """Whether the experiment is to stop. Safe to set from a signal handler: it takes no lock."""

    def __init__(self) -> None:
        self._signum: int | None = None

    def request(self, signum: int, _frame: FrameType | None = None) -> None:
        """Records the first signal; further ones change nothing, so that clearing up is not broken off."""
        if self._signum is None:
            self._signum = signum

    def check(self) -> None:
        """Raises InterruptedBySignalError when a stop was requested."""
        if self._signum is not None:
            raise InterruptedBySignalError(self._signum)

    def wait(self, seconds: float, check: Callable[[], None] = lambda: None) -> None:
        """Waits; calls `check`, which may raise, every POLL_EVERY_S. Raises InterruptedBySignalError."""
        deadline = time.monotonic() + seconds
        self.check()
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, POLL_EVERY_S))
            self.check()
            check()

    def wait_until(self, condition: Callable[[], bool], within_s: float, every_s: float = POLL_EVERY_S) -> bool:
        """Polls the condition until it holds; returns whether it did `within_s`.

        Raises InterruptedBySignalError when a stop was requested, and whatever the condition raises.
        """
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.wait(every_s)
        return True


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns SIGINT, SIGTERM and SIGHUP into a StopRequest for as long as the context lasts."""
    stop = StopRequest()
    heeded = [each for each in STOP_SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]  # nohup has its effect
    before = {signum: signal.signal(signum, stop.request) for signum in heeded}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
