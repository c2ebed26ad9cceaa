"""How a router writes, as JSON, what it leaves for the one that follows it; read tolerantly.

The reader may be of another version: what is not as expected is left out. Times stand there in epoch seconds.
"""

import time
from collections import Counter
from math import isfinite
from typing import Any

EPOCH_S = time.time() - time.monotonic()
"""The monotonic clock's zero: taken once, so that a time is told alike every time."""


def as_epoch(monotonic_s: float | None) -> float | None:
    """Returns what another process understands; None for never."""
    return None if monotonic_s is None or not isfinite(monotonic_s) else round(monotonic_s + EPOCH_S, 6)


def as_monotonic(epoch_s: Any) -> float | None:
    """Returns a time on this process's clock, or None."""
    return epoch_s - EPOCH_S if isinstance(epoch_s, float) and isfinite(epoch_s) else None


def as_dict(told: Any) -> dict[str, Any]:
    """Returns an object with its names; empty where it is none."""
    return told if isinstance(told, dict) else {}


def as_list(told: Any) -> list[Any]:
    """Returns a list; empty where it is none."""
    return told if isinstance(told, list) else []


def as_counts(told: Any) -> Counter[str]:
    """Returns counts by name."""
    return Counter({name: count for name, count in as_dict(told).items() if isinstance(count, int)})


def pairs(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Returns counts by two names as objects in an object."""
    told: dict[str, dict[str, int]] = {}
    for (one, other), count in counts.items():
        told.setdefault(one, {})[other] = count
    return told


def as_pairs(told: Any) -> Counter[tuple[str, str]]:
    """Returns counts by two names again."""
    objects = {one: as_counts(others) for one, others in as_dict(told).items()}
    return Counter({(one, other): count for one, counts in objects.items() for other, count in counts.items()})


def difference(now: Any, before: Any) -> Any:
    """Returns how much more each number is, in objects and lists of one shape; what is no number is left out."""
    match now:
        case dict():
            known = as_dict(before)
            return {name: more for name, value in now.items() if (more := difference(value, known.get(name)))}
        case list() if len(now) == len(as_list(before)):
            return [difference(value, known) for value, known in zip(now, before, strict=True)]
        case bool():
            return None
        case int() | float():
            return now - (before or 0)
    return None
