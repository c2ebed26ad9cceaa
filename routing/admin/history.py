"""The last five minutes of traffic, second by second, for the board's chart: kept here so that a reload shows it."""

import time
from collections import deque
from collections.abc import Callable

import gevent

from routing.engine import Engine

WINDOW_S = 300
INTERVAL_S = 1.0


class History:
    """Samples of an engine's counters, at monotonic times; whoever draws them takes the differences."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=int(WINDOW_S / INTERVAL_S) + 1)

    def run(self) -> None:
        """Takes a sample each second; never returns."""
        while True:
            self.sample(time.monotonic())
            gevent.sleep(INTERVAL_S)

    def sample(self, now: float) -> None:
        """Notes the counters as they stand."""
        counters = self._engine().counters
        self._samples.append((now, sum(counters.answers.values()), sum(counters.refused.values())))

    def samples(self) -> list[list[float]]:
        """Returns [epoch seconds, answered, refused] of each second, oldest first; both counts since the start."""
        offset_s = time.time() - time.monotonic()
        return [[round(time_s + offset_s, 3), answered, refused] for time_s, answered, refused in self._samples]
