"""Figures of the measurements: medians and ranges over the repeats, ratios and differences within a repeat.

A figure is named as the attribute of a Measurement that holds it.
"""

import operator
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.contenders import CONTENDERS, DIRECT, ENGINE, FLASK, HAPROXY, NAIVE, ROUTER
from benchmarks.records import Measurement, Target

COMPARISONS = {"at least": operator.ge, "at most": operator.le, "under": operator.lt}


@dataclass(frozen=True)
class Range:
    """The median of the repeats, the lowest and the highest."""

    median: float
    low: float
    high: float

    def text(self, form: str) -> str:
        """Returns it as text; low and high only where they differ."""
        if self.low == self.high:
            return f"{self.median:{form}}"
        return f"{self.median:{form}} ({self.low:{form}} to {self.high:{form}})"


def range_of(values: Iterable[float]) -> Range | None:
    """Returns the range of some values; None where there are none."""
    found = list(values)
    return Range(statistics.median(found), min(found), max(found)) if found else None


@dataclass(frozen=True)
class Measurements:
    """All measurements of a run, looked up by contender and kind of load."""

    all: Sequence[Measurement]
    order: Sequence[str] = tuple(CONTENDERS)
    """Of the tables' rows."""

    def contenders(self) -> list[str]:
        """Returns the measured contenders, in the order of the tables."""
        present = {one.contender for one in self.all}
        return [name for name in self.order if name in present]

    def failed(self, contender: str) -> int:
        """Returns how many of a contender's requests were not answered well, under all loads."""
        return sum(one.errors for one in self.all if one.contender == contender)

    def aggregate(self, contender: str, connections: int, figure: str, method: str = "POST") -> Range | None:
        """Returns one figure of a contender under one load over the repeats; None where it was not measured."""
        return range_of(value for _, value in self._of_repeats(contender, connections, figure, method))

    def ratio(self, one: str, other: str, connections: int, figure: str = "rate_per_s") -> Range | None:
        """Returns one contender's figure divided by another's of the same repeat."""
        return self._paired(one, other, connections, figure, operator.truediv)

    def added(self, contender: str, connections: int, figure: str) -> Range | None:
        """Returns a contender's figure less that of going direct, in the same repeat."""
        return self._paired(contender, DIRECT, connections, figure, operator.sub)

    def get_by_post(self, contender: str, connections: int, figure: str) -> Range | None:
        """Returns a contender's figure for GET divided by that for POST of the same repeat."""
        posts = dict(self._of_repeats(contender, connections, figure))
        gets = self._of_repeats(contender, connections, figure, "GET")
        return range_of(value / posts[repeat] for repeat, value in gets if repeat in posts)

    def _paired(
        self, one: str, other: str, connections: int, figure: str, join: Callable[[float, float], float]
    ) -> Range | None:
        others = dict(self._of_repeats(other, connections, figure))
        ours = self._of_repeats(one, connections, figure)
        return range_of(join(value, others[repeat]) for repeat, value in ours if repeat in others)

    def _of_repeats(
        self, contender: str, connections: int, figure: str, method: str = "POST"
    ) -> Iterator[tuple[int, float]]:
        for one in self.all:
            if (one.contender, one.connections, one.method) == (contender, connections, method):
                yield one.repeat, getattr(one, figure)


def targets(measured: Measurements) -> list[Target]:
    """Returns the comparison's targets, as far as the contenders took part."""
    naive, flask = (measured.ratio(ROUTER, peer, 8) for peer in (NAIVE, FLASK))
    added, engine = measured.added(ROUTER, 1, "p50_ms"), measured.ratio(ENGINE, HAPROXY, 8)
    get, get_cpu = (measured.get_by_post(ENGINE, 8, figure) for figure in ("rate_per_s", "cpu_us"))
    rows = [
        ("throughput divided by the naive way's, 8 connections", naive, ".1f", "at least", 4),
        ("throughput divided by Flask's own ceiling, 8 connections", flask, ".2f", "at least", 0.7),
        ("latency added, 1 connection, p50, ms", added, ".2f", "under", 1),
        ("engine's throughput divided by plain HAProxy's, 8 connections", engine, ".2f", "at least", 0.95),
        ("engine's throughput of GET divided by that of POST, 8 connections", get, ".2f", "at least", 0.85),
        ("engine's CPU time per GET divided by that per POST, 8 connections", get_cpu, ".2f", "at most", 1.3),
    ]
    command = "python -m benchmarks throughput"
    return [
        Target(name, found.text(form), f"{word} {limit:g}", COMPARISONS[word](found.median, limit), command)
        for name, found, form, word, limit in rows
        if found is not None
    ]
