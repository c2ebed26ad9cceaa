"""What has passed through the router since it started, across topologies. How the figures are shown: admin/."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from routing import memory

REASONS = ("saturated", "busy", "down", "timeout", "bad_answer")
"""Why a request may get no predictor's response."""

REFUSALS = {
    "saturated": "every predictor in rotation is at capacity",
    "busy": "every predictor that was asked is busy",
    "down": "no predictor takes requests",
}
"""Those of them for which a request is refused at once, in words."""

BOUNDS_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0),
)
"""The latency buckets' upper bounds, finest where the rig's service times lie: 0.1 s and 1 s."""


@dataclass
class Histogram:
    """A histogram of durations in seconds; its buckets end at BOUNDS_S, inclusive."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    """How many fell into each bucket, not added up; the last is for what is beyond all bounds."""
    sum_s: float = 0.0

    def observe(self, duration_s: float) -> None:
        """Counts one duration."""
        self.counts[bisect_left(BOUNDS_S, duration_s)] += 1
        self.sum_s += duration_s

    def add(self, told: dict[str, Any]) -> None:
        """Adds what another one of the same buckets has counted."""
        counts, sum_s = memory.as_list(told.get("counts")), told.get("sum_s")
        if len(counts) == len(self.counts) and isinstance(sum_s, float) and {type(each) for each in counts} == {int}:
            self.counts = [own + other for own, other in zip(self.counts, counts, strict=True)]
            self.sum_s += sum_s


class RefusalEpisodes:
    """Tells the first refusal of each episode from those that follow it; the reasons are those of REFUSALS."""

    def __init__(self, quiet_s: float) -> None:
        """An episode is over once there has been no refusal for its reason during `quiet_s`."""
        self._quiet_s = quiet_s
        self._total = 0
        self._seen = dict.fromkeys(REFUSALS, 0)
        self._last_s = dict.fromkeys(REFUSALS, -inf)

    def begun(self, refused: Mapping[str, int], now: float) -> list[str]:
        """Returns the reasons for which an episode has begun since the last call; `refused` counts by reason."""
        if (total := sum(refused.values())) == self._total:  # as after all but a few of the router's steps
            return []
        self._total = total
        fresh = [reason for reason, seen in self._seen.items() if refused[reason] > seen]
        begun = [reason for reason in fresh if now - self._last_s[reason] >= self._quiet_s]
        for reason in fresh:
            self._seen[reason], self._last_s[reason] = refused[reason], now
        return begun


@dataclass
class Counters:
    """Counters since the process started."""

    success_code: str = "200"
    """The code under which good responses are counted; "2xx" where an engine counts classes of codes."""
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Responses passed to clients, by predictor and HTTP status code."""
    refused: Counter[str] = field(default_factory=Counter)
    """Requests that got no predictor's response, by reason (REASONS)."""
    resends: Counter[str] = field(default_factory=Counter)
    """Requests that went on to another predictor, by the predictor that failed them."""
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    """State changes, by predictor and event: promoted, ejected, ..."""
    latency: Histogram | None = field(default_factory=Histogram)
    """From a request's arrival to its predictor's response, refusals left out; None where an engine cannot know it."""

    def remember(self) -> dict[str, Any]:
        """Returns all of it as JSON objects."""
        latency = None if self.latency is None else {"counts": self.latency.counts.copy(), "sum_s": self.latency.sum_s}
        told = {"answers": memory.pairs(self.answers), "events": memory.pairs(self.events), "latency": latency}
        return {**told, "refused": dict(self.refused), "resends": dict(self.resends)}

    def add(self, told: Any) -> None:
        """Adds what another process has counted (`remember`)."""
        told = memory.as_dict(told)
        self.answers.update(memory.as_pairs(told.get("answers")))
        self.events.update(memory.as_pairs(told.get("events")))
        self.refused.update(memory.as_counts(told.get("refused")))
        self.resends.update(memory.as_counts(told.get("resends")))
        if self.latency is not None:
            self.latency.add(memory.as_dict(told.get("latency")))

    def count_answer(self, predictor: str, status: int, duration_s: float) -> None:
        """Counts a response that goes to the client, and how long the client waited for it."""
        self.answers[predictor, str(status)] += 1
        if self.latency is not None:
            self.latency.observe(duration_s)
