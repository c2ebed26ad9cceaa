"""Figures over the runs of an experiment: median, range, percentiles."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class RunStats:
    """The median and the range of a figure over the runs in which it was measured."""

    median: float
    """The middle value."""
    low: float
    """The least."""
    high: float
    """The greatest."""
    count: int
    """The runs in which there was such a figure."""


def aggregate(values: Iterable[float]) -> RunStats | None:
    """Median and range of the values; None when there is none.

    The median keeps six decimals: of an availability, fewer would hide a request lost in thousands.
    """
    known = list(values)
    return RunStats(round(statistics.median(known), 6), min(known), max(known), len(known)) if known else None


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that at least `percent` % of the values do not exceed (nearest rank)."""
    if not values:
        return None
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def rounded(value: float | None, digits: int) -> float | None:
    """The value in so many decimals; None stays None."""
    return None if value is None else round(value, digits)
