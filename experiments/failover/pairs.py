"""The verdicts on every pair of topologies under each load, by the repeats' values of each metric."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import ClassVar

from experiments.failover.metrics import METRICS, MarginOf, MeasuredRun, Metric
from experiments.failover.window_metrics import SECONDS
from experiments.options import Margins
from experiments.results.statistics import rounded
from experiments.theory.verdicts import Judgement, Verdict, judge

TIME_RESOLUTION_S = 0.1
"""Times nearer to each other than this are alike: operator and samples look so often."""

Values = Mapping[int, float]
"""Repeat -> value."""


@dataclass(frozen=True, kw_only=True)
class PairVerdict(Judgement):
    """One metric of two topologies under one load, compared within the repeats that have it of both."""

    ORDER: ClassVar = (
        "load", "figure", "a", "b", "repeats", "verdict", "difference", "low", "high", "p_value", "margin",
        "more_repeats",
    )  # fmt: skip

    load: str
    """The load's name."""
    figure: str
    """The metric's name."""
    a: str
    """The first topology."""
    b: str
    """The second."""
    repeats: int
    """The repeats that have the figure of both."""

    def of(self, topology: str) -> "PairVerdict":
        """The same with that topology, one of the two, as the first."""
        if topology == self.a:
            return self
        low, high = (None if end is None else -end for end in (self.high, self.low))
        return replace(
            self, a=self.b, b=self.a, verdict=TURNED.get(self.verdict, self.verdict), difference=-self.difference,
            low=low, high=high,
        )  # fmt: skip


TURNED = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}


def judge_pairs(runs: Sequence[MeasuredRun], margins: Margins) -> list[PairVerdict]:
    """Every verdict on runs under one load, of topologies that are not overloaded by it, metric by metric."""
    plans = {run.plan.name: run.plan for run in runs}
    found = []
    for metric in METRICS:
        values = {name: _values(runs, name, metric) for name in plans} if metric.judged_by else {}
        found += [
            _judge_pair(runs, metric, values, a, b, margins)
            for a, b in combinations(values, 2)
            if plans[a].is_beside(plans[b])
        ]
    return [verdict for verdict in found if verdict is not None]


def _values(runs: Iterable[MeasuredRun], topology: str, metric: Metric) -> Values:
    own = {run.run.run.repeat: metric.compute(run) for run in runs if run.plan.name == topology}
    return {repeat: value for repeat, value in own.items() if value is not None}


def _judge_pair(
    runs: Sequence[MeasuredRun], metric: Metric, values: Mapping[str, Values], a: str, b: str, margins: Margins
) -> PairVerdict | None:
    common = sorted(values[a].keys() & values[b].keys())
    if not common:
        return None
    first, second = ([values[name][repeat] for repeat in common] for name in (a, b))
    load = runs[0].load
    margin = margin_of(metric, margins, max(fmean(first), fmean(second)), load.rate_per_s)
    found = judge(first, second, margin, more_is_better=metric.more_is_better)
    return PairVerdict(
        load=load.name,
        figure=metric.name,
        a=a,
        b=b,
        repeats=len(common),
        verdict=found.verdict,
        difference=round(found.difference, 6),
        low=rounded(found.low, 6),
        high=rounded(found.high, 6),
        p_value=round(found.p_value, 6),
        margin=round(margin, 6),
        more_repeats=found.more_repeats,
    )


def margin_of(metric: Metric, margins: Margins, greater: float, rate_per_s: float) -> float:
    """The margin of a metric, in its unit: `greater` is the greater of two means, the rate that of the load."""
    absolute = absolute_margin(metric, margins, rate_per_s)
    if absolute is not None:
        return absolute
    return max(least_margin(metric, margins), margins.relative_percent / 100 * greater)


def least_margin(metric: Metric, margins: Margins) -> float:
    """The least that a margin is which goes by the figure's size, in the metric's unit."""
    if metric.judged_by is MarginOf.RELATIVE_REQUESTS:
        return margins.lost_requests
    return TIME_RESOLUTION_S if metric.form is SECONDS else 0.0


def absolute_margin(metric: Metric, margins: Margins, rate_per_s: float) -> float | None:
    """The margin of a metric, in its unit, where it does not go by the figure's size; else None."""
    match metric.judged_by:
        case MarginOf.POINTS:
            return margins.availability_points / 100
        case MarginOf.REQUESTS:
            return margins.lost_requests
        case MarginOf.DOWNTIME:
            return margins.lost_requests / rate_per_s
    return None
