"""What a comparison comes to, computed from its records alone: figures of each topology, classes of summary.json."""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from experiments.compare.agreement import Comparison, compare_pair
from experiments.compare.blog_post import PostFigures, post_figures
from experiments.compare.figures import FailureFigures, RunFigures, run_figures
from experiments.compare.records import CompareSettings, RunRecords
from experiments.experiment import Figure
from experiments.results.records import TopologyPlan
from experiments.results.statistics import RunStats, aggregate
from experiments.theory.first_failure import Prediction, predict_first_failure

SCHEMA_NAME = "compare/1"
SATURATED = "saturated"
RATE = "RPS at first failure"

predict = functools.cache(predict_first_failure)

YOUNGEST_S = 1.0
"""A rate over a shorter window than this depends on how fast users come, not on what the topology carries."""


@dataclass(frozen=True)
class PredictorLoads:
    """One predictor's load at the first failure and its peak until then, over the repeats."""

    load: RunStats | None
    peak_load: RunStats | None


@dataclass(frozen=True)
class TopologyFigures:
    """One topology over its repeats; docs/results-schema.md says what each field is."""

    topology: str
    """The topology's name."""
    slots: int
    """The most requests in flight with every predictor in rotation, standbys included."""
    roles: dict[str, str]
    """Predictor -> active or standby, by plan."""
    runs: list[RunFigures]
    """One entry per finished run."""
    rate_at_first_failure_per_s: RunStats | None
    time_s: RunStats | None
    users: RunStats | None
    causes: dict[str, int]
    """Cause -> number of runs whose first failure had it."""
    loads: dict[str, PredictorLoads]
    """Predictor -> its load and peak load at the first failure."""
    theory: Prediction
    """What queueing theory expects of one run at these settings."""
    runs_inside_theory: int
    """How many runs' rates lie in theory's range of 90 %."""
    post: PostFigures
    """What the blog post gives for this topology."""

    @property
    def failed_at_once(self) -> bool:
        """Whether its first failure came too early for a rate."""
        return self.time_s is not None and self.time_s.median < YOUNGEST_S

    @property
    def saturated(self) -> bool:
        """Whether it failed at least once, and only ever by saturation: what theory and comparison assume."""
        return set(self.causes) == {SATURATED}


@dataclass(frozen=True)
class PairVerdict:
    """One pair of topologies that failed by saturation only, and whether their rates differ."""

    topologies: tuple[str, str]
    """The two that are compared."""
    verdict: str
    """Agree, differ or not decided."""
    difference_per_s: float
    """Of the medians of the rates at first failure."""
    single_runs_vary_by_per_s: float | None
    """By theory, 9 in 10 pairs of single runs are no further apart than this."""
    medians_vary_by_per_s: float | None
    """The same of medians of as many runs as were done: the pair is judged by it."""
    sentence: str
    """The verdict in words, with its figures."""


@dataclass(frozen=True)
class ComparisonSummary:
    """A whole comparison; docs/results-schema.md says what each field is."""

    schema: str
    """Name and version of this layout."""
    finding: list[str]
    """The result in sentences, the headline first."""
    settings: CompareSettings
    """As in settings.json."""
    topologies: list[TopologyFigures]
    """One entry per topology with a finished run, in the order asked for."""
    agreement: list[PairVerdict]
    """Each pair of topologies that failed by saturation only."""
    definitions: dict[str, str]
    """Figure -> its definition in one sentence."""


def summarize_topologies(settings: CompareSettings, runs: Sequence[RunRecords]) -> list[TopologyFigures]:
    """Computes the figures of every topology that has a finished run, in the settings' order."""
    summaries = [_summarize_topology(plan, settings, runs) for plan in settings.topologies]
    return [summary for summary in summaries if summary.runs]


def compare_topologies(summaries: Sequence[TopologyFigures]) -> list[Comparison]:
    """Every pair of those whose first failures were all saturation, most of them where theory expects them."""
    rates = [
        Figure(summary.topology, RATE, summary.slots, rate, summary.theory.rate_per_s)
        for summary in summaries
        if summary.saturated
        and (rate := summary.rate_at_first_failure_per_s) is not None
        and (summary.theory.rate_per_s is None or summary.theory.rate_per_s.contains(rate.median))
    ]
    return [compare_pair(a, b) for a, b in combinations(rates, 2)]


def _summarize_topology(
    plan: TopologyPlan, settings: CompareSettings, records: Sequence[RunRecords]
) -> TopologyFigures:
    theory = _expect(plan.slots, settings)
    runs = [run_figures(record, theory.rate_per_s) for record in records if record.run.topology == plan.name]
    failures = [run.first_failure for run in runs if run.first_failure is not None]
    return TopologyFigures(
        topology=plan.name,
        slots=plan.slots,
        roles=plan.roles,
        runs=runs,
        rate_at_first_failure_per_s=aggregate(failure.rate_at_first_failure_per_s for failure in failures),
        time_s=aggregate(failure.time_s for failure in failures),
        users=aggregate(failure.users for failure in failures),
        causes=dict(Counter(failure.cause for failure in failures)),
        loads={name: _predictor_loads(name, failures) for name in plan.capacities},
        theory=theory,
        runs_inside_theory=sum(run.inside_theory is True for run in runs),
        post=post_figures(plan.name, settings),
    )


def _expect(slots: int, settings: CompareSettings) -> Prediction:
    """What theory expects of one run; topologies with equal slots share one prediction."""
    return predict(
        slots,
        settings.service_time_s,
        settings.spawn_rate_per_s,
        (settings.wait_s[0], settings.wait_s[1]),
        max_users=settings.users_limit,
        run_time_s=settings.run_time_s,
    )


def _predictor_loads(name: str, failures: Sequence[FailureFigures]) -> PredictorLoads:
    figures = [failure.loads[name] for failure in failures if name in failure.loads]
    return PredictorLoads(aggregate(f.load for f in figures), aggregate(f.peak_load for f in figures))
