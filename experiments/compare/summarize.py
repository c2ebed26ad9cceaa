"""Computes the summary of a comparison from the records of its run folder, and from nothing else."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from experiments.compare import blog_post as post
from experiments.compare.agreement import Measured, compare_pair
from experiments.compare.figures import DEFINITIONS, FailureFigures, RunFigures, run_figures
from experiments.compare.findings import findings, is_posts_pace
from experiments.compare.records import RunRecords, Settings
from experiments.compare.summary import SCHEMA_NAME, JudgedRun, PostFigures, PredictorLoads, Summary, TopologySummary
from experiments.results.records import TopologyPlan
from experiments.results.statistics import aggregate
from experiments.theory.first_failure import Prediction, predict_first_failure


def summarize(settings: Settings, runs: Sequence[RunRecords]) -> Summary:
    """Compute the summary; topologies without a finished run are left out."""
    summaries = [_summarize_topology(plan, settings, runs) for plan in settings.topologies]
    done = [summary for summary in summaries if summary.runs]
    agreement = [compare_pair(a, b) for a, b in combinations(_comparable(done), 2)]
    return Summary(
        schema=SCHEMA_NAME,
        finding=findings(settings, done, agreement),
        settings=settings,
        topologies=done,
        agreement=agreement,
        definitions=DEFINITIONS,
    )


def _summarize_topology(plan: TopologyPlan, settings: Settings, records: Sequence[RunRecords]) -> TopologySummary:
    theory = expect(plan, settings)
    runs = [_judge(run_figures(record), theory) for record in records if record.run.topology == plan.name]
    failures = [run.first_failure for run in runs if run.first_failure is not None]
    return TopologySummary(
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
        post=_post_figures(plan.name) if is_posts_pace(settings) else PostFigures(None, {}),
    )


def _post_figures(name: str) -> PostFigures:
    return PostFigures(post.RPS_AT_FAILURE_PER_S.get(name), post.LOAD_AFTER_TEST.get(name, {}))


predict = functools.cache(predict_first_failure)
"""Topologies with equal slots share one prediction."""


def expect(plan: TopologyPlan, settings: Settings) -> Prediction:
    """What theory expects of one run of this topology at these settings."""
    return predict(
        plan.slots,
        settings.service_time_s,
        settings.spawn_rate_per_s,
        (settings.wait_s[0], settings.wait_s[1]),
        max_users=settings.users_limit,
        run_time_s=settings.run_time_s,
    )


def _judge(run: RunFigures, theory: Prediction) -> JudgedRun:
    inside = None
    if theory.rate_per_s is not None and run.first_failure is not None:
        inside = theory.rate_per_s.contains(run.first_failure.rate_at_first_failure_per_s)
    figures = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
    return JudgedRun(**figures, inside_theory=inside)


def _predictor_loads(name: str, failures: Sequence[FailureFigures]) -> PredictorLoads:
    figures = [failure.loads[name] for failure in failures if name in failure.loads]
    return PredictorLoads(aggregate(f.load for f in figures), aggregate(f.peak_load for f in figures))


def _comparable(summaries: Sequence[TopologySummary]) -> list[Measured]:
    """The topologies whose first failures were all saturation, most of them where theory expects them."""
    return [
        Measured(summary.topology, summary.slots, rate, summary.theory.rate_per_s)
        for summary in summaries
        if summary.saturated
        and (rate := summary.rate_at_first_failure_per_s) is not None
        and (summary.theory.rate_per_s is None or summary.theory.rate_per_s.contains(rate.median))
    ]
