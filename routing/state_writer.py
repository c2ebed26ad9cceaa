"""When the live topology file is written: status at once, load soon, never more often than the limit."""

import time
from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event

LOAD_PERIOD_S = 0.075
"""A change of load waits at most this long for its write."""

MAX_WRITES_PER_S = 20


class StateWriter:
    """Calls `write` after changes; changes that come close together share one write."""

    def __init__(self, write: Callable[[], object]) -> None:
        self._write = write
        self._changed = Event()
        self._urgent = Event()
        self._stopped = Event()
        self._recent: deque[float] = deque([float("-inf")] * MAX_WRITES_PER_S, maxlen=MAX_WRITES_PER_S)
        self._loop: gevent.Greenlet[[], None] | None = None

    def start(self) -> None:
        """Writes from now on, at most `MAX_WRITES_PER_S` times in any second."""
        self._loop = gevent.spawn(self._run)

    def stop(self) -> None:
        """Writes no more; a write under way ends first, so that it cannot overtake what the caller writes next."""
        self._stopped.set()
        self.status_changed()
        if self._loop is not None:
            self._loop.join()

    def load_changed(self) -> None:
        """Has the file written soon."""
        if not self._changed.is_set():
            self._changed.set()

    def status_changed(self) -> None:
        """Has the file written at once."""
        self._urgent.set()
        self._changed.set()

    def _run(self) -> None:
        while True:
            self._changed.wait()
            self._urgent.wait(timeout=max(0.0, self._recent[-1] + LOAD_PERIOD_S - time.monotonic()))
            self._stopped.wait(timeout=max(0.0, self._recent[0] + 1.0 - time.monotonic()))
            if self._stopped.is_set():  # gevent's wait says False where both happen in one turn of its loop
                return
            self._changed.clear()
            self._urgent.clear()
            self._recent.append(time.monotonic())
            self._write()
