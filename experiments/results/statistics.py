"""Figures over the runs of an experiment: median, range, percentiles."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from math import ceil
from typing import Any


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


def in_digits(record: Any, digits: int = 6) -> Any:
    """The record with its numbers in so many significant digits: the last ones of a simulation differ by processor."""
    if isinstance(record, float):
        return float(f"{record:.{digits}g}")
    if is_dataclass(record) and not isinstance(record, type):
        return replace(record, **{each.name: in_digits(getattr(record, each.name), digits) for each in fields(record)})
    if isinstance(record, Mapping):
        return {name: in_digits(each, digits) for name, each in record.items()}
    return [in_digits(each, digits) for each in record] if isinstance(record, list) else record
