"""When the live topology file and the router's memory are written: status at once, load soon, within limits."""

import time
from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

LOAD_PERIOD_S = 0.075
"""A change of load waits at most this long for its write."""

MAX_WRITES_PER_S = 20

MEMORY_PERIOD_S = 0.9
"""What the next router is to know after a crash is at most this old."""


class StateWriter:
    """Calls `write` after changes; changes that come close together share one write. And `remember` now and then."""

    def __init__(self, write: Callable[[], object], remember: Callable[[], object] = lambda: None) -> None:
        self._write = write
        self._remember = remember
        self._remembering = BoundedSemaphore()
        self._changed = Event()
        self._urgent = Event()
        self._stopped = Event()
        self._recent: deque[float] = deque([float("-inf")] * MAX_WRITES_PER_S, maxlen=MAX_WRITES_PER_S)
        self._loops: list[gevent.Greenlet[[], None]] = []

    def start(self) -> None:
        """Writes from now on, at most `MAX_WRITES_PER_S` times in any second."""
        self._loops = [gevent.spawn(self._run), gevent.spawn(self._remember_on)]

    def stop(self) -> None:
        """Writes no more; a write under way ends first, so that it cannot overtake what the caller writes next."""
        self._stopped.set()
        self.status_changed()
        gevent.joinall(self._loops)
        with self._remembering:
            pass  # one that an order asked for

    def load_changed(self) -> None:
        """Has the file written soon."""
        if not self._changed.is_set():
            self._changed.set()

    def status_changed(self) -> None:
        """Has the file written at once."""
        self._urgent.set()
        self._changed.set()

    def remember_now(self) -> None:
        """Remembers, and returns once that is done; no more after the stop: a successor may be at it."""
        self.write_now(lambda: None if self._stopped.is_set() else self._remember())

    def write_now(self, write: Callable[[], object]) -> None:
        """Writes something else, while nothing is remembered; it goes on to its end though the caller be killed."""

        def write_alone() -> None:
            with self._remembering:
                write()

        gevent.spawn(write_alone).get()

    def _remember_on(self) -> None:
        while not self._stopped.is_set():
            self.remember_now()
            self._stopped.wait(timeout=MEMORY_PERIOD_S)

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
