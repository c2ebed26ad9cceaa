"""Computes the summary of a failover run from the records of its run folder, and from nothing else."""

from collections.abc import Callable, Iterable, Sequence

from experiments.failover.claims import CLAIMS, judge
from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import ROUTER
from experiments.failover.findings import findings
from experiments.failover.records import ALL_UP, DOMAIN_DOWN, DomainPlan, FailoverSettings, FaultRun
from experiments.failover.summary import FIGURES, SCHEMA_NAME, Summary, TopologySummary
from experiments.failover.windows import DEFINITIONS, WindowFigures, skipped, window_figures, windows
from experiments.results.statistics import aggregate

CONTROL = "none"
SURGE = "surge"

Found = dict[tuple[str, int], list[WindowFigures]]
"""Topology and repeat -> the figures of that run's windows."""


def summarize(settings: FailoverSettings, runs: Sequence[FaultRun]) -> Summary:
    """Compute the summary; topologies without a finished run are left out."""
    plans = {plan.name: plan for plan in settings.topologies}
    found: Found = {
        (run.run.topology, run.run.repeat): _windows(run, plans[run.run.topology], settings) for run in runs
    }
    done = {name: [run for run in runs if run.run.topology == name] for name in plans}
    summaries = [_topology(plans[name], group, settings, found) for name, group in done.items() if group]
    verdicts = [judge(claim, {s.topology: s.figures[claim.figure] for s in summaries}) for claim in CLAIMS]
    told = [verdict for verdict in verdicts if verdict is not None]
    pooled = {fault for _, repeat in found for fault in _pooled_faults(found, repeat)}
    return Summary(SCHEMA_NAME, findings(settings, summaries, pooled), settings, summaries, told, DEFINITIONS)


def _pooled_faults(found: Found, repeat: int) -> set[str]:
    """The unplanned faults of a repeat that can be pooled: those of which every topology has a valid window."""
    runs = [windows for (_, number), windows in found.items() if number == repeat]
    valid = [{window.fault for window in windows if window.valid} for windows in runs]
    common = set.intersection(*valid)
    return {fault for fault in common if not FAULTS[fault].planned and fault != CONTROL}


def _topology(plan: DomainPlan, runs: Sequence[FaultRun], settings: FailoverSettings, found: Found) -> TopologySummary:
    values: dict[str, list[float | None]] = {name: [] for name in FIGURES}
    for run in runs:
        pooled = _pooled(found[plan.name, run.run.repeat], _pooled_faults(found, run.run.repeat))
        for name, value in (_capacity(run, plan, settings) | pooled).items():
            values[name].append(value)
    return TopologySummary(
        topology=plan.name,
        slots=plan.slots,
        roles=plan.roles,
        largest_domain=plan.largest_domain(),
        figures={name: aggregate(v for v in each if v is not None) for name, each in values.items()},
        windows=[window for run in runs for window in found[plan.name, run.run.repeat]],
        skipped={fault: reason for run in runs for fault, reason in skipped(run.actions).items()},
    )


def _windows(run: FaultRun, plan: DomainPlan, settings: FailoverSettings) -> list[WindowFigures]:
    return [window_figures(window, run, plan, settings) for window in windows(run.actions, settings)]


def _capacity(run: FaultRun, plan: DomainPlan, settings: FailoverSettings) -> dict[str, float | None]:
    """Production capacity in and out of region, of one run."""
    rates: dict[str, float | None] = {}
    for part in (ALL_UP, DOMAIN_DOWN):
        records = run.capacity.get(part)
        failure = records.first_failure if records else None
        rates[part] = round(failure.rate_at_first_failure_per_s, 3) if failure else None
    if settings.capacity_spawn_rate_per_s and len(plan.largest_domain()) == len(plan.capacities):
        rates[DOMAIN_DOWN] = 0.0
    return {"capacity_in_region_per_s": rates[ALL_UP], "capacity_out_of_region_per_s": rates[DOMAIN_DOWN]}


def _pooled(found: Sequence[WindowFigures], faults: set[str]) -> dict[str, float | None]:
    """The figures of one run over its unplanned faults, and over its upgrade and its surge."""
    valid = [window for window in found if window.valid]
    unplanned = [window for window in valid if window.fault in faults]
    hit = [window for window in unplanned if window.targets and window.targets != [ROUTER]]
    return {
        "availability": _availability(unplanned),
        "planned_availability": _availability(window for window in valid if FAULTS[window.fault].planned),
        "lost_per_fault": round(sum(w.lost for w in unplanned) / len(unplanned), 3) if unplanned else None,
        "capacity_lost_share": _longest(hit, lambda window: window.capacity_lost_share),
        "worst_added_wait_s": _longest(unplanned, lambda window: window.worst_added_wait_s),
        "recovery_s": _longest(unplanned, lambda window: window.recovery_s),
        "redundancy_s": _longest(hit, lambda window: window.redundancy_s),
        "response_s": _longest(unplanned, lambda window: window.response_s),
        "standby_answer_s": _longest(hit, lambda window: window.standby_answer_s),
        "surge_availability": _availability(window for window in valid if window.fault == SURGE),
    }


def _availability(found: Iterable[WindowFigures]) -> float | None:
    kept = list(found)
    offered = sum(window.offered for window in kept)
    return round(1 - sum(window.lost for window in kept) / offered, 6) if offered else None


def _longest(found: Iterable[WindowFigures], figure: Callable[[WindowFigures], float | None]) -> float | None:
    return max((value for value in map(figure, found) if value is not None), default=None)
