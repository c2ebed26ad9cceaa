"""What a predictor's latest answers tell: whether it is full, and how long one may take. Pure, `now` is an argument."""

from collections import deque
from dataclasses import dataclass, field
from math import inf

MARK_S = 1.0
"""A busy answer weighs until the next good one, which frees a slot, but no longer than this: what the router's own
Retry-After asks of its clients, and soon enough for one that nobody asks meanwhile."""

REMEMBERED_S = 60.0
LEAST_PATIENCE_S = 1.0
PATIENCE = 3.0
"""An answer may take so many times the slowest good one of the last minute, and LEAST_PATIENCE_S in any case."""


@dataclass
class BusySpell:
    """What a predictor has said of being full since its last good answer."""

    weight: int = 0
    """Busy answers of the last moment: each weighs like a request in flight."""
    answers: int = 0
    since_s: float = inf
    _latest_s: float = -inf

    def note(self, now: float, most_weight: int) -> None:
        """Notes an answer that says busy."""
        self.expire(now)
        self.since_s = min(self.since_s, now)
        self.answers += 1
        self.weight = min(self.weight + 1, most_weight)
        self._latest_s = now

    def expire(self, now: float) -> bool:
        """Lets the weight go once it is old; returns whether it went."""
        if now - self._latest_s < MARK_S:
            return False
        self.weight = 0
        return True


@dataclass
class AnswerTimes:
    """How long a predictor's good answers took of late, in seconds."""

    last_s: float = -inf
    """When the last one came."""
    _slowest: deque[tuple[float, float]] = field(default_factory=deque)
    """When each came and how long it took: of the last minute those that no later one outdid, the slowest first."""

    def note(self, now: float, took_s: float) -> None:
        """Notes a good answer."""
        self.last_s = now
        while self._slowest and self._slowest[-1][1] <= took_s:
            self._slowest.pop()
        self._slowest.append((now, took_s))

    def slowest_s(self, now: float) -> float | None:
        """Returns the slowest of the last minute; None where there was none."""
        while self._slowest and now - self._slowest[0][0] > REMEMBERED_S:
            self._slowest.popleft()
        return self._slowest[0][1] if self._slowest else None


def patience_s(slowest_s: float) -> float:
    """Returns how long an answer may take before its predictor is suspected of a stall."""
    return max(PATIENCE * slowest_s, LEAST_PATIENCE_S)
