"""What a comparison comes to, computed from its records alone: figures of each topology, classes of summary.json."""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from experiments.compare.agreement import Comparison, Rates, compare_pair
from experiments.compare.blog_post import PostFigures, post_figures
from experiments.compare.figures import FailureFigures, RunFigures, run_figures
from experiments.compare.records import YOUNGEST_S, CompareSettings, RunRecords
from experiments.results.records import LEFT_OUT_EMPTY, REFUSED, TopologyPlan
from experiments.results.statistics import RunStats, aggregate, percentile
from experiments.theory.erlang import erlang_b, erlangs_at_blocking
from experiments.theory.first_failure import Prediction, no_figures, predict_first_failure

SCHEMA_NAME = "compare/1"
SATURATED = "saturated"
REFUSALS = tuple(status.phrase for status in REFUSED)
"""What a router that is not this project's answers where all slots are held: it gives no reason."""

RATE = "RPS at first failure"

predict = functools.cache(predict_first_failure)

ERROR_BUDGET = 0.001
"""The share of requests that may be refused at a rate to plan with."""


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
    """The most requests in flight with every predictor in rotation, standbys included; a cold standby's slots are not
    there at the first failure and do not count."""
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
    """What queueing theory expects of one run at these slots, this pace and theory_latency_s."""
    theory_latency_s: float
    """The latency that theory is computed at: the median of the runs' good answers, to half a percent of the service
    time, 1 ms at least; the service time where there was none."""
    runs_inside_theory: int
    """How many runs' rates lie in theory's range of 90 %."""
    post: PostFigures
    """What the blog post gives for this topology."""
    refused_share_if_held: float | None
    rate_at_budget_per_s: float | None
    foreign: bool = field(default=False, metadata=LEFT_OUT_EMPTY)
    """Whether its router is not this project's: what it refuses in theory is not known; no such key where it is."""

    @property
    def decimals(self) -> int:
        """With how many decimals its rates are shown: 1, or more where a rate outside theory's range would look inside.

        3 at most, as many as the figures have.
        """
        theory = self.theory.rate_per_s
        outside = [run.first_failure for run in self.runs if run.first_failure and run.inside_theory is False]
        for decimals in (1, 2):
            if theory is None or not any(
                round(theory.p5, decimals)
                <= round(each.rate_at_first_failure_per_s, decimals)
                <= round(theory.p95, decimals)
                for each in outside
            ):
                return decimals
        return 3

    @property
    def rate_to_plan_with_per_s(self) -> float | None:
        """The rate at which theory refuses 0.1 %, but none above the median rate at which it failed when measured."""
        rate, measured = self.rate_at_budget_per_s, self.rate_at_first_failure_per_s
        return None if rate is None or (measured is not None and measured.median < rate) else rate

    @property
    def failed_at_once(self) -> bool:
        """Whether its first failure came too early for a rate."""
        return self.time_s is not None and not _is_a_rate(self.time_s)

    @property
    def saturated(self) -> bool:
        """Whether it failed at least once, and only ever by saturation: what theory and comparison assume."""
        return bool(self.causes) and set(self.causes) <= self.refusals

    @property
    def refusals(self) -> set[str]:
        """The causes of a first failure by which all slots were held."""
        return {SATURATED, *(REFUSALS if self.foreign else ())}


@dataclass(frozen=True)
class PairVerdict:
    """One pair of topologies that have a rate at first failure, and whether these differ."""

    topologies: tuple[str, str]
    """The two that are compared."""
    verdict: str
    """Better, worse, equal or not decided: the first beside the second; a higher rate is better."""
    difference_per_s: float
    """Mean rate at first failure of the first less that of the second; taken within a repeat where both failed in the
    same repeats."""
    low_per_s: float | None
    """Lower end of its 90 % interval; null where the runs are too few for one."""
    high_per_s: float | None
    """Upper end."""
    p_value: float
    """How often chance alone would make so great a difference, in either direction."""
    margin_per_s: float
    """Differences smaller than this count as none."""
    more_repeats: int | None
    """Not decided: how many repeats more would decide in 4 of 5 experiments, by the spread so far (by theory's with
    fewer than 4 runs); null where it is decided, and where more than 1,000 would be needed."""
    single_runs_vary_by_per_s: float | None
    """By theory, 9 in 10 pairs of single runs are no further apart than this."""
    means_vary_by_per_s: float | None
    """The same of means of as many runs as were done."""
    detectable_per_s: float | None
    """By theory, the true difference that so many runs of each call better or worse in 4 of 5 experiments; null where
    they cannot, and without theory."""
    detectable_slots: int | None
    """How many slots that is; null where the two differ in slots."""
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
    """Each pair of topologies that have a rate at first failure."""
    definitions: dict[str, str]
    """Figure -> its definition in one sentence."""

    @property
    def has_post(self) -> bool:
        """Whether the post's figures have a place beside these, if only a dash at another pace."""
        return self.settings.is_like_the_post


def summarize_topologies(settings: CompareSettings, runs: Sequence[RunRecords]) -> list[TopologyFigures]:
    """Computes the figures of every topology that has a finished run, in the settings' order."""
    summaries = [_summarize_topology(plan, settings, runs) for plan in settings.topologies]
    return [summary for summary in summaries if summary.runs]


def compare_topologies(settings: CompareSettings, summaries: Sequence[TopologyFigures]) -> list[Comparison]:
    """Every pair of those that have a rate, and the topology or the router in common."""
    plans = {plan.name: plan for plan in settings.topologies}
    rated = [summary for summary in summaries if summary.causes and not summary.failed_at_once]
    rates = [(plans[each.topology], _rates(each, plans[each.topology].router)) for each in rated]
    return [
        compare_pair(a, b, settings.margins.relative_percent)
        for (plan, a), (other, b) in combinations(rates, 2)
        if plan.is_beside(other)
    ]


def _rates(summary: TopologyFigures, router: str) -> Rates:
    failures = {run.repeat: run.first_failure for run in summary.runs if run.first_failure is not None}
    by_repeat = {repeat: failure.rate_at_first_failure_per_s for repeat, failure in failures.items()}
    theory = summary.theory.rate_per_s if summary.saturated else None
    return Rates(
        summary.topology, summary.slots, summary.theory_latency_s, by_repeat, theory, _remarks(summary), router
    )


def _remarks(summary: TopologyFigures) -> list[str]:
    """What is unusual about the rates of a topology."""
    rate, theory = summary.rate_at_first_failure_per_s, summary.theory.rate_per_s
    if not summary.saturated:
        causes = ", ".join(f"{cause!r} in {runs} of {len(summary.runs)} runs" for cause, runs in summary.causes.items())
        return [f"the first failure of {summary.topology} was {causes}"]
    if rate is None or theory is None or theory.contains(rate.median):
        return []
    of = "" if rate.count == 1 else "the median of "
    return [f"{of}{summary.topology} lies outside theory's range ({theory.p5:.1f} to {theory.p95:.1f})"]


def _summarize_topology(
    plan: TopologyPlan, settings: CompareSettings, records: Sequence[RunRecords]
) -> TopologyFigures:
    own = [record for record in records if record.run.topology == plan.name]
    latency_s = measured_latency_s(own, settings.service_time_s)
    why_not = settings.why_no_theory
    theory = no_figures(plan.warm_slots, 0, why_not) if why_not else _expect(plan.warm_slots, latency_s, settings)
    foreign = settings.is_foreign(plan)
    held_s = None if why_not or foreign else latency_s
    runs = [run_figures(record, theory.rate_per_s) for record in own]
    failures = [run.first_failure for run in runs if run.first_failure is not None]
    rate = aggregate(failure.rate_at_first_failure_per_s for failure in failures)
    time_s = aggregate(failure.time_s for failure in failures)
    return TopologyFigures(
        topology=plan.name,
        slots=plan.warm_slots,
        roles=plan.roles,
        runs=runs,
        rate_at_first_failure_per_s=rate,
        time_s=time_s,
        users=aggregate(failure.users for failure in failures),
        causes=dict(Counter(failure.cause for failure in failures)),
        loads={name: _predictor_loads(name, failures) for name in plan.capacities},
        theory=theory,
        theory_latency_s=latency_s,
        runs_inside_theory=sum(run.inside_theory is True for run in runs),
        post=post_figures(plan.name, settings),
        refused_share_if_held=_refused_if_held(plan.warm_slots, rate, held_s) if _is_a_rate(time_s) else None,
        rate_at_budget_per_s=_rate_at_budget_per_s(plan.warm_slots, held_s),
        foreign=foreign,
    )


def measured_latency_s(records: Sequence[RunRecords], service_time_s: float) -> float:
    """The median latency of the good answers, the service time where there is none.

    It is rounded, so that topologies with equal slots, whose latencies hardly differ, share one prediction.
    """
    good_s = [request.latency_s for record in records for request in record.requests if request.good]
    step_s = max(0.001, service_time_s / 200)
    median_s = percentile(good_s, 50)
    return service_time_s if median_s is None else round(round(median_s / step_s) * step_s, 6)


def _is_a_rate(time_s: RunStats | None) -> bool:
    """Whether the first failures came late enough for a rate."""
    return time_s is not None and time_s.median >= YOUNGEST_S


def _refused_if_held(slots: int, rate: RunStats | None, held_s: float | None) -> float | None:
    """`held_s`: how long a request holds a slot; None where theory does not apply."""
    return None if rate is None or held_s is None else round(erlang_b(slots, rate.median * held_s), 5)


def _rate_at_budget_per_s(slots: int, held_s: float | None) -> float | None:
    return round(erlangs_at_blocking(slots, ERROR_BUDGET) / held_s, 3) if held_s else None


def _expect(slots: int, latency_s: float, settings: CompareSettings) -> Prediction:
    """What theory expects of one run; topologies with equal slots and latency share one prediction."""
    return predict(
        slots,
        latency_s,
        settings.spawn_rate_per_s,
        (settings.wait_s[0], settings.wait_s[1]),
        max_users=settings.users_limit,
        run_time_s=settings.run_time_s,
    )


def _predictor_loads(name: str, failures: Sequence[FailureFigures]) -> PredictorLoads:
    figures = [failure.loads[name] for failure in failures if name in failure.loads]
    return PredictorLoads(aggregate(f.load for f in figures), aggregate(f.peak_load for f in figures))
