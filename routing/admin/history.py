"""The last five minutes of traffic, second by second, for the board's chart: kept here so that a reload shows it."""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import gevent

from routing.engine import Engine

WINDOW_S = 300
INTERVAL_S = 1.0


class Sample(NamedTuple):
    """The counters as they stood at a monotonic time."""

    time_s: float
    answered: int
    refused: int


class History:
    """Samples of an engine's counters; whoever draws them takes the differences."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._samples: deque[Sample] = deque(maxlen=int(WINDOW_S / INTERVAL_S) + 1)

    def run(self) -> None:
        """Takes a sample each second; never returns."""
        while True:
            self.sample(time.monotonic())
            gevent.sleep(INTERVAL_S)

    def sample(self, now: float) -> None:
        """Notes the counters as they stand."""
        counters = self._engine().counters
        self._samples.append(Sample(now, sum(counters.answers.values()), sum(counters.refused.values())))

    def samples(self) -> list[list[float]]:
        """Returns [epoch seconds, answered, refused] of each second, oldest first; both counts since the start."""
        offset_s = time.time() - time.monotonic()
        return [[round(s.time_s + offset_s, 3), s.answered, s.refused] for s in self._samples]
