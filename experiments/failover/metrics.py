"""The scorecard's metrics, a row each: name, how it is written, what it is, how it is computed of one run.

Summary, definitions, tables, charts, verdicts and diff read them here: a new metric is one row and one function.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cached_property

from experiments.failover.faults import FAULTS
from experiments.failover.records import ALL_UP, DOMAIN_DOWN, SURGE, DomainPlan, FaultRun
from experiments.failover.window_metrics import NUMBER, PERCENT, SECONDS, SHARE, WINDOW_METRICS, Form, WindowFigures
from experiments.failover.windows import WINDOW_DEFINITION

MORE, LESS = True, False
"""Which is better."""


@dataclass(frozen=True)
class MeasuredRun:
    """One run, its windows' figures, and the faults that are pooled."""

    run: FaultRun
    plan: DomainPlan
    capacity_was_measured: bool
    windows: list[WindowFigures]
    pooled: frozenset[str]
    """The unplanned faults of which every topology has a valid window in this repeat."""

    @cached_property
    def valid(self) -> list[WindowFigures]:
        """The windows in which the generator was on time."""
        return [window for window in self.windows if window.valid]

    @cached_property
    def unplanned(self) -> list[WindowFigures]:
        """Those of the pooled faults."""
        return [window for window in self.valid if window.fault in self.pooled]

    @cached_property
    def of_predictors(self) -> list[WindowFigures]:
        """Those of them whose fault hits predictors."""
        return [window for window in self.unplanned if self.plan.capacities.keys() & window.targets]


def _capacity_out_of_region(run: MeasuredRun) -> float | None:
    if run.capacity_was_measured and len(run.plan.largest_domain()) == len(run.plan.capacities):
        return 0.0
    return _swarm_rate(run, DOMAIN_DOWN)


def _swarm_rate(run: MeasuredRun, part: str) -> float | None:
    records = run.run.capacity.get(part)
    failure = records.first_failure if records else None
    return round(failure.rate_at_first_failure_per_s, 3) if failure else None


def _availability(windows: Iterable[WindowFigures]) -> float | None:
    counted = list(windows)
    offered = sum(window.offered for window in counted)
    return round(1 - sum(window.lost for window in counted) / offered, 6) if offered else None


def _lost_per_fault(run: MeasuredRun) -> float | None:
    return round(sum(window.lost for window in run.unplanned) / len(run.unplanned), 3) if run.unplanned else None


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


@dataclass(frozen=True)
class Metric:
    """One metric of the scorecard: a figure of each run, over the repeats."""

    name: str
    """Its key in summary.json."""
    label: str
    """Its row in tables."""
    unit: str
    """Of its values in the chart."""
    form: Form
    more_is_better: bool
    definition: str
    """What it is, in a sentence without a capital and full stop."""
    compute: Callable[[MeasuredRun], float | None]
    """Its value of one run; None where there was nothing to measure."""
    panel: str = ""
    """Its title in the chart; empty: it has no panel."""


METRICS: tuple[Metric, ...] = (
    Metric("capacity_in_region_per_s", "Capacity in region, requests/s", "requests/s", NUMBER, MORE,
           "rate at first failure (requests sent in the 10 s before it) with everything up",
           lambda run: _swarm_rate(run, ALL_UP), "Production capacity,\nin region"),
    Metric("capacity_out_of_region_per_s", "Capacity out of region, requests/s", "requests/s", NUMBER, MORE,
           "rate at first failure with the largest failure domain down: a region where entries name one, else one "
           "predictor; 0 where nothing is left",
           _capacity_out_of_region, "Production capacity,\nout of region"),
    Metric("availability", "Platform availability", "%", PERCENT, MORE,
           "good answers divided by requests offered, over the whole of all unplanned faults' windows, by the moment "
           "of sending; of each repeat those faults of which every topology has a valid window",
           lambda run: _availability(run.unplanned), "Platform availability,\nunplanned faults"),
    Metric("planned_availability", "Availability in planned outages", "%", PERCENT, MORE,
           "the same while every predictor is upgraded in turn (drain, stop, start, ready)",
           lambda run: _availability(window for window in run.valid if FAULTS[window.fault].planned),
           "Availability during\nplanned outages"),
    Metric("surge_availability", "Availability in surges", "%", PERCENT, MORE,
           "the same in the windows of surges alone",
           lambda run: _availability(window for window in run.valid if FAULTS[window.fault].kind == SURGE)),
    Metric("lost_per_fault", "Impact: requests lost per fault", "", NUMBER, LESS,
           "requests without a good answer per unplanned fault",
           _lost_per_fault, "Failure impact,\nrequests lost per fault"),
    Metric("capacity_lost_share", "Impact: capacity lost", "share, 0 to 1", SHARE, LESS,
           "slots of the predictors that a fault hits, divided by all slots of the topology; the largest of the "
           "unplanned faults of predictors",
           lambda run: _largest(window.capacity_lost_share for window in run.of_predictors)),
    Metric("worst_added_wait_s", "Impact: worst added wait", "s", SECONDS, LESS,
           "the longest time from sending a request to its good answer, in the windows of unplanned faults, less the "
           "service time",
           lambda run: _largest(window.worst_added_wait_s for window in run.unplanned),
           "Failure impact,\nworst added wait"),
    Metric("recovery_s", "Disaster recovery time", "s", SECONDS, LESS,
           "disaster recovery time: from the fault until as many slots as planned are in rotation again for good, the "
           "failed predictor being repaired after the operator's delay; the longest of the unplanned faults in which "
           "slots were missing",
           lambda run: _largest(window.recovery_s for window in run.unplanned), "Disaster recovery\ntime"),
    Metric("redundancy_s", "  until all is as planned", "s", SECONDS, LESS,
           "from the fault until every predictor is as planned again, actives serving and standbys standing by; the "
           "longest of the unplanned faults of predictors",
           lambda run: _largest(window.redundancy_s for window in run.of_predictors)),
    Metric("response_s", "Incident response: router", "s", SECONDS, LESS,
           "incident response time: from the fault to the router's first reaction (ejected or promoted, by its event "
           "log); the longest of the unplanned faults to which it reacted",
           lambda run: _largest(window.response_s for window in run.unplanned), "Incident response\ntime"),
    Metric("standby_answer_s", "Incident response: standby answers", "s", SECONDS, LESS,
           "from the fault to the standby's first good answer; the longest of the unplanned faults of predictors in "
           "which it gave one",
           lambda run: _largest(window.standby_answer_s for window in run.of_predictors)),
)  # fmt: skip
"""The metrics, in the order of tables, charts and definitions."""

METRIC = {metric.name: metric for metric in METRICS}
"""Name -> metric."""


_OF_WINDOW = {metric.name: metric.definition for metric in WINDOW_METRICS if metric.definition}
DEFINITIONS = {
    **{metric.name: metric.definition for metric in METRICS},
    "window": WINDOW_DEFINITION,
    **{field.name: _OF_WINDOW[field.name] for field in fields(WindowFigures) if field.name in _OF_WINDOW},
}
"""Figure -> what it is: the metrics, then a window, then those of its figures that the metrics do not define."""

LABELS = {
    "window": "Window",
    "offered": "Offered",
    **{metric.name: metric.label for metric in WINDOW_METRICS if metric.label},
    **{metric.name: metric.label.strip() for metric in METRICS},
}
"""Figure -> what the page's tables and charts call it."""
