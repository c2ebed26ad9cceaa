"""The scorecard's metrics, a row each: name, how it is written, what it is, how it is computed of one run.

Summary, definitions, tables, charts, verdicts and diff read them here: a new metric is one row and one function.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property
from statistics import fmean

from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import Fault
from experiments.failover.records import ALL_UP, DOMAIN_DOWN, SURGE, DomainPlan, FailoverSettings, FaultRun, OfferedLoad
from experiments.failover.window_metrics import (
    DELAYED_S,
    NUMBER,
    PERCENT,
    REQUESTS,
    SECONDS,
    SHARE,
    WINDOW_METRICS,
    Form,
    WindowFigures,
)
from experiments.failover.windows import WINDOW_DEFINITION

MORE, LESS = True, False
"""Which is better."""

DRAINED, WITHOUT_DRAIN = "(drain, stop, start, ready)", "(a polite stop, start, ready)"
"""What is done in turn in an upgrade behind this project's router, and behind others."""


class MarginOf(Enum):
    """By which margin differences in a metric count as none."""

    POINTS = "availability"
    REQUESTS = "lost requests"
    DOWNTIME = "lost requests, in seconds of the offered rate"
    RELATIVE_REQUESTS = "percent of the greater, and no less than that of lost requests"
    RELATIVE_TIME = "percent of the greater, and no less than what a time is measured to"


@dataclass(frozen=True)
class MeasuredRun:
    """One run under one load, its windows' figures, and the faults that are compared."""

    run: FaultRun
    plan: DomainPlan
    load: OfferedLoad
    capacity_was_measured: bool
    windows: list[WindowFigures]
    """Those of this load."""
    compared: frozenset[str]
    """The unplanned faults of predictors whose losses every topology counts in this repeat."""
    timed: frozenset[str]
    """Those of which every topology has a valid window in it."""

    @cached_property
    def losses(self) -> list[WindowFigures]:
        """The windows that losses are taken from."""
        return [window for window in self.windows if window.fault in self.compared and window.counts_losses]

    @cached_property
    def times(self) -> list[WindowFigures]:
        """The windows that times and delays are taken from."""
        return [window for window in self.windows if window.fault in self.timed and window.valid]


def mean_per_fault(windows: Iterable[WindowFigures], name: str) -> float | None:
    """The mean of a figure over the windows of each fault, then over the faults; None where no window has it."""
    by_fault: dict[str, list[float]] = {}
    for window in windows:
        if (value := getattr(window, name)) is not None:
            by_fault.setdefault(window.fault, []).append(value)
    return round(fmean(map(fmean, by_fault.values())), 6) if by_fault else None


def _capacity_out_of_region(run: MeasuredRun) -> float | None:
    if run.capacity_was_measured and len(run.plan.largest_domain()) == len(run.plan.capacities):
        return 0.0
    return _swarm_rate(run, DOMAIN_DOWN)


def _swarm_rate(run: MeasuredRun, part: str) -> float | None:
    records = run.run.capacity.get(part)
    failure = records.first_failure if records else None
    return round(failure.rate_at_first_failure_per_s, 3) if failure else None


def _is_planned(fault: Fault) -> bool:
    return fault.planned


def _is_surge(fault: Fault) -> bool:
    return fault.kind == SURGE


def _availability_while(run: MeasuredRun, counts: Callable[[Fault], bool]) -> float | None:
    windows = (window for window in run.windows if window.counts_losses and counts(FAULTS[window.fault]))
    return mean_per_fault(windows, "availability")


def _largest(windows: Sequence[WindowFigures], name: str) -> float | None:
    return max((value for window in windows if (value := getattr(window, name)) is not None), default=None)


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
    """Its value of one run under one load; None where there was nothing to measure."""
    panel: str = ""
    """Its title in the chart; empty: it has no panel."""
    judged_by: MarginOf | None = None
    """The margin of its verdicts; None: it has none."""
    is_of_capacity: bool = False
    """Whether swarms of their own measure it, so that it is of no load."""
    is_of_the_post: bool = True
    """Whether it belongs to one of the post's six metrics; else it is a figure per fault."""
    counts: Callable[[Fault], bool] | None = None
    """The faults in whose windows it is a share of the requests; None: of no kind of faults alone."""


def _per_fault(
    figure: str, label: str, form: Form, judged_by: MarginOf, what: str, panel: str = "", *, of_times: bool = True
) -> Metric:
    """A figure of windows, in the mean of a repeat's faults."""
    stem = figure.removesuffix("_s")
    return Metric(
        name=f"{stem}_per_fault{figure.removeprefix(stem)}",
        label=label,
        unit="s" if form is SECONDS else "",
        form=form,
        more_is_better=LESS,
        definition=f"{what} per fault of a predictor: the mean of each fault's windows, then of the faults",
        compute=lambda run: mean_per_fault(run.times if of_times else run.losses, figure),
        panel=panel,
        judged_by=judged_by,
        is_of_the_post=False,
    )


PER_FAULT: tuple[Metric, ...] = (
    _per_fault("lost", "Lost per fault", REQUESTS, MarginOf.REQUESTS,
               "requests without a good answer", "Requests lost\nper fault", of_times=False),
    _per_fault("delayed", "Delayed per fault", REQUESTS, MarginOf.RELATIVE_REQUESTS,
               f"good answers later than the service time and {DELAYED_S:g} s", "Requests delayed\nper fault"),
    _per_fault("downtime_s", "Equivalent downtime", SECONDS, MarginOf.DOWNTIME,
               "requests lost divided by the offered rate,", "Equivalent downtime\nper fault", of_times=False),
    _per_fault("outage_s", "Outage as clients saw it", SECONDS, MarginOf.RELATIVE_TIME,
               "time from the fault to the sending of the last request lost in its window (0 where none was lost that "
               "was sent after it; not all in between need be lost)",
               "Outage as clients saw it,\nper fault"),
    _per_fault("below_need_s", "Below the slots needed", SECONDS, MarginOf.RELATIVE_TIME,
               "time with fewer slots in rotation than the load needs", "Below the slots\nneeded, per fault"),
    _per_fault("without_reserve_s", "Without reserve", SECONDS, MarginOf.RELATIVE_TIME,
               "time in which one more failure would have left too few slots"),
    _per_fault("added_wait_p99_s", "Added wait, p99", SECONDS, MarginOf.RELATIVE_TIME,
               "the time within which 99 % of the good answers came, less the service time,"),
)  # fmt: skip
"""What a fault costs, first of all: none of it depends on a window's length but the p99."""

METRICS: tuple[Metric, ...] = (
    *PER_FAULT,
    Metric("capacity_in_region_per_s", "Capacity in region, per s", "requests/s", NUMBER, MORE,
           "rate at first failure (requests sent in the 10 s before it) with everything up",
           lambda run: _swarm_rate(run, ALL_UP), "Capacity,\nall up", is_of_capacity=True),
    Metric("capacity_out_of_region_per_s", "Capacity out of region, per s", "requests/s", NUMBER, MORE,
           "rate at first failure with the largest failure domain down: a region where entries name one, else one "
           "predictor; 0 where nothing is left",
           _capacity_out_of_region, "Capacity,\none down", is_of_capacity=True),
    Metric("availability", "Platform availability", "%", PERCENT, MORE,
           "good answers divided by requests offered, in the windows of unplanned faults of predictors (the mean of "
           "each fault's windows, then of the faults), of each repeat those faults whose losses every topology counts; "
           "it depends on the window's length and on the operator's delay",
           lambda run: mean_per_fault(run.losses, "availability"), "Platform availability,\nin faults of predictors",
           MarginOf.POINTS),
    Metric("planned_availability", "Availability in planned outages", "%", PERCENT, MORE,
           f"the same while every predictor is upgraded in turn {DRAINED}",
           lambda run: _availability_while(run, _is_planned),
           "Availability during\nplanned outages", MarginOf.POINTS, counts=_is_planned),
    Metric("surge_availability", "Availability in surges", "%", PERCENT, MORE,
           "the same in the windows of surges alone",
           lambda run: _availability_while(run, _is_surge), "", MarginOf.POINTS, counts=_is_surge),
    Metric("capacity_lost_share", "Impact: capacity lost", "share, 0 to 1", SHARE, LESS,
           "slots of the predictors that a fault hits, divided by all slots of the topology; the largest of the "
           "unplanned faults of predictors",
           lambda run: _largest(run.times, "capacity_lost_share")),
    Metric("longest_added_wait_s", "Impact: longest added wait", "s", SECONDS, LESS,
           "the longest time from sending a request to its good answer, in the windows of unplanned faults of "
           "predictors, less the service time; a predictor that is 10 times as slow makes it 9 times the service time",
           lambda run: _largest(run.times, "longest_added_wait_s")),
    Metric("recovery_s", "Disaster recovery time", "s", SECONDS, LESS,
           "disaster recovery time: from the fault until as many slots as planned are in rotation again for good, the "
           "failed predictor being repaired after the operator's delay; the longest of the unplanned faults of "
           "predictors in which slots were missing",
           lambda run: _largest(run.times, "recovery_s"), "Disaster recovery\ntime", MarginOf.RELATIVE_TIME),
    Metric("redundancy_s", "  until all is as planned", "s", SECONDS, LESS,
           "from the fault until every predictor is as planned again for good, actives serving and standbys standing "
           "by, by the router's events; the longest of the unplanned faults of predictors",
           lambda run: _largest(run.times, "redundancy_s"), "", MarginOf.RELATIVE_TIME),
    Metric("response_s", "Incident response: router", "s", SECONDS, LESS,
           "incident response time: from the fault to the router's first reaction (ejected or promoted, by its event "
           "log); the longest of the unplanned faults of predictors to which it reacted",
           lambda run: _largest(run.times, "response_s"), "Incident response\ntime", MarginOf.RELATIVE_TIME),
    Metric("standby_answer_s", "Incident response: standby answers", "s", SECONDS, LESS,
           "from the fault to the standby's first good answer; the longest of the unplanned faults of predictors in "
           "which it gave one",
           lambda run: _largest(run.times, "standby_answer_s")),
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


def definitions_of(settings: FailoverSettings) -> dict[str, str]:
    """DEFINITIONS, as they are of these routers: behind others than this project's an upgrade has no drain."""
    if not all(map(settings.is_foreign, settings.topologies)):
        return DEFINITIONS
    name = "planned_availability"
    return {**DEFINITIONS, name: DEFINITIONS[name].replace(DRAINED, WITHOUT_DRAIN)}


LABELS = {
    "window": "Window",
    "offered": "Offered",
    "throughput_per_s": "Throughput",
    "refused": "Refused",
    "refused_after_s": "Refused after",
    "longest_wait_s": "Longest wait",
    **{metric.name: metric.label for metric in WINDOW_METRICS if metric.label},
    **{metric.name: metric.label.strip() for metric in METRICS},
}
"""Figure -> what the page's tables and charts call it."""
