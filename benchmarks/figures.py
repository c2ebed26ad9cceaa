"""Figures of the measurements: medians and ranges over the repeats, ratios and differences within a repeat."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.contenders import CONTENDERS, DIRECT, ENGINE, FLASK, HAPROXY, NAIVE, ROUTER
from benchmarks.records import Measurement, Target

Figure = Callable[[Measurement], float]
TIMES_NAIVE = 4.0
SHARE_OF_FLASK = 0.5
ADDED_MS = 1.0
ENGINE_SHARE = 0.95


@dataclass(frozen=True)
class Range:
    """The median of the repeats, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Range":
        """Returns the range of some values, at least one."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, form: str = ",.0f") -> str:
        """Returns it as text; low and high only where they differ."""
        if self.low == self.high:
            return f"{self.median:{form}}"
        return f"{self.median:{form}} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True)
class Measurements:
    """All measurements of a run, looked up by contender and kind of load."""

    all: Sequence[Measurement]

    def contenders(self) -> list[str]:
        """Returns the measured contenders, in the order of the tables."""
        present = {one.contender for one in self.all}
        return [name for name in CONTENDERS if name in present]

    def aggregate(self, contender: str, connections: int, figure: Figure, method: str = "POST") -> Range | None:
        """Returns one figure of a contender under one load over the repeats; None where it was not measured."""
        return _range(figure(one) for one in self._of(contender, connections, method))

    def ratio(self, one: str, other: str, connections: int, figure: Figure) -> Range | None:
        """Returns one contender's figure divided by another's of the same repeat."""
        return self._paired(one, other, connections, lambda a, b: figure(a) / figure(b))

    def added(self, contender: str, connections: int, figure: Figure) -> Range | None:
        """Returns a contender's figure less that of going direct, in the same repeat."""
        return self._paired(contender, DIRECT, connections, lambda a, b: figure(a) - figure(b))

    def _paired(
        self, one: str, other: str, connections: int, join: Callable[[Measurement, Measurement], float]
    ) -> Range | None:
        others = {found.repeat: found for found in self._of(other, connections, "POST")}
        pairs = [(found, others.get(found.repeat)) for found in self._of(one, connections, "POST")]
        return _range(join(found, pair) for found, pair in pairs if pair is not None)

    def _of(self, contender: str, connections: int, method: str) -> list[Measurement]:
        key = (contender, connections, method)
        return [one for one in self.all if (one.contender, one.connections, one.method) == key]


def rate_per_s(one: Measurement) -> float:
    """Returns good answers per second."""
    return one.rate_per_s


def cpu_us(one: Measurement) -> float:
    """Returns the CPU time of the contender's processes per request, in microseconds."""
    return one.cpu_s / max(1, one.requests) * 1e6


def targets(measured: Measurements) -> list[Target]:
    """Returns the comparison's targets, as far as the contenders took part."""
    command = "python -m benchmarks throughput"
    naive = measured.ratio(ROUTER, NAIVE, 8, rate_per_s)
    flask = measured.ratio(ROUTER, FLASK, 8, rate_per_s)
    added = measured.added(ROUTER, 1, lambda one: one.p50_ms)
    engine = measured.ratio(ENGINE, HAPROXY, 8, rate_per_s)
    rows = [
        ("throughput divided by the naive way's, 8 connections", naive, ".1f", "at least 4", TIMES_NAIVE),
        ("throughput divided by Flask's own ceiling, 8 connections", flask, ".2f", "at least 0.5", SHARE_OF_FLASK),
        ("latency added, 1 connection, p50, ms", added, ".2f", "under 1", None),
        ("engine's throughput divided by plain HAProxy's, 8 connections", engine, ".2f", "at least 0.95", ENGINE_SHARE),
    ]
    return [
        Target(name, found.text(form), wanted, found.median >= least if least else found.median < ADDED_MS, command)
        for name, found, form, wanted, least in rows
        if found is not None
    ]


def _range(values: Iterable[float]) -> Range | None:
    found = list(values)
    return Range.of(found) if found else None
