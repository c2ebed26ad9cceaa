"""What has happened to the predictors: the balancer's events, the latest of them."""

from collections import deque
from typing import NamedTuple

EVENTS_KEPT = 1000


class Event(NamedTuple):
    """One change of a predictor; `time_s` is on the monotonic clock."""

    time_s: float
    event: str
    predictor: str
    reason: str


class Events:
    """The latest events, oldest first."""

    def __init__(self) -> None:
        self.latest: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._new: list[Event] = []

    def record(self, now: float, event: str, predictor: str, reason: str) -> None:
        """Adds one."""
        recorded = Event(now, event, predictor, reason)
        self.latest.append(recorded)
        self._new.append(recorded)

    def forget(self) -> None:
        """Drops what was recorded so far: it has been told elsewhere."""
        self.latest.clear()
        self._new.clear()

    def pop_new(self) -> list[Event]:
        """Returns the events since the last call, oldest first."""
        fresh, self._new = self._new, []
        return fresh
