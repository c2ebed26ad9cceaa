"""Counters: the requests that this process sent in a window, and what the router counted in one run."""

from collections import deque
from typing import Any

from admin_client import predictors_in

WINDOW_S = 10.0
"""What the rate at first failure looks back on."""

KEPT_S = 60.0
"""The window ends when the failing request was sent: up to its timeout and a moment ago."""


class SendCounter:
    """Send times of this process (epoch seconds), as far back as the first failure needs."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def add(self, now_s: float) -> None:
        """Adds a request that starts now."""
        self._times_s.append(now_s)
        while self._times_s[0] < now_s - KEPT_S:
            self._times_s.popleft()

    def count(self, until_s: float) -> int:
        """Returns the requests sent in the WINDOW_S seconds that end at `until_s`."""
        return sum(until_s - WINDOW_S < sent_s <= until_s for sent_s in self._times_s)

    def clear(self) -> None:
        """Drops the previous run's."""
        self._times_s.clear()


sends = SendCounter()


class RunCounters:
    """The router's counters less what they stood at when the run started: they go on from run to run."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._baseline: dict[str, dict[str, Any]] | None = None
        self._since: Any = None

    def set_baseline(self, state: dict[str, Any]) -> None:
        """Takes the router's state as that of the run's start."""
        self._baseline, self._since = predictors_in(state), state.get("since")

    def value(self, state: dict[str, Any], predictor: str, key: str) -> Any:
        """Returns a predictor's count in this run; "unknown" where the router did not answer when the run started.

        The counts of a topology begin at 0 when it comes in; `since` (epoch seconds) says when that was. So after a
        change in mid-run they are of the run's part since then.
        """
        count, since = predictors_in(state)[predictor].get(key), state.get("since")
        if not isinstance(count, int):
            return count
        if self._baseline is None:
            return count if isinstance(since, (int, float)) and since >= self._started_s else "unknown"
        before = self._baseline.get(predictor, {}).get(key) if since == self._since else 0
        return max(0, count - before) if isinstance(before, int) else count  # `state` may be older than the start
