"""Figures of a blocking run, computed from its records alone, each with its definition in one sentence."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from experiments.blocking.records import PointRecords
from experiments.results.records import LEFT_OUT_EMPTY
from experiments.results.statistics import percentile, rounded
from experiments.theory.erlang import erlang_b
from experiments.theory.intervals import Z_95, design_effect, wilson
from experiments.theory.paired import paired_difference
from experiments.theory.simulation import Floats

LAG_OF_SERVICE_TIME = 0.1
"""The generator lagged when it sent more than 1 in 100 requests later than this part of the service time."""

REFUSAL_OF_SERVICE_TIME = 0.05
"""A refusal is immediate; where it takes more than this part of the service time, something else slows the router."""

LEAST_LOAD_ERLANGS = 0.001
"""Below this there is nothing to simulate."""

DEFINITIONS = {
    "slots": "the most requests in flight that the router lets through: the sum of its predictors' capacities",
    "aimed_blocking": "the refused share for which the rate was chosen, were a slot held for the service time alone",
    "arrivals": "requests sent after the warm-up of 20 service times; figures are of these alone",
    "refused": (
        "requests among them that the router refused because it was saturated, or passed on a refusal because every "
        "predictor was busy"
    ),
    "other_failures": "requests among them that failed in any other way; none may, else the point is invalid",
    "arrival_rate_per_s": "those requests divided by the time from the warm-up's last sending to their own last",
    "good_latency_s": "mean time from sending a request to its good answer, in seconds",
    "refusal_latency_s": "median time from sending a request to its refusal, in seconds; 0 where none was refused",
    "holding_time_s": (
        "how long a slot is held in the mean: good_latency_s less refusal_latency_s, for a refusal takes the same way "
        "through generator and router, without a slot (its median: requests that pile up at a busy moment wait longer "
        "than others, and are refused more often)"
    ),
    "offered_load_erlangs": "arrival_rate_per_s times holding_time_s: the slots held, were nothing refused",
    "refused_share": "refused by arrivals",
    "erlang_b": (
        "the refused share of a loss system with these slots at this offered load, by Erlang's B formula; null where "
        "theory does not apply"
    ),
    "gap": "refused_share less erlang_b; null where theory does not apply",
    "design_effect": (
        "how many requests tell as much as one independent request would (refusals come in groups, but chance in the "
        "arrival rate is known), by simulation of the loss system; where theory does not apply, by the refusals in "
        "blocks of 10 holding times"
    ),
    "low, high": "Wilson's 95 % interval of the refused share, with arrivals divided by design_effect as its sample",
    "inside": "whether erlang_b lies in that interval; null for an invalid point, and where theory does not apply",
    "lateness_median_s": "median time by which a request was sent after its scheduled moment, in seconds",
    "lateness_p99_s": "the time within which 99 % of the requests were sent after their scheduled moment, in seconds",
    "invalid": (
        "why the point says nothing about the router: other failures, a generator that lagged (lateness_p99_s above "
        "a tenth of the service time), a machine too busy to tell how long a slot is held (refusal_latency_s above a "
        "twentieth of it); empty when valid"
    ),
}
"""Figure -> what it is. Units are in the names; figures without one are counts or shares."""

LABELS = {
    "slots": "Slots",
    "aimed_blocking": "Refused share aimed at",
    "arrivals": "Arrivals",
    "refused": "Requests refused",
    "other_failures": "Other failures",
    "arrival_rate_per_s": "Per s",
    "good_latency_s": "Good answer",
    "refusal_latency_s": "Refusal",
    "holding_time_s": "Held",
    "offered_load_erlangs": "Erlangs",
    "refused_share": "Refused",
    "erlang_b": "Erlang B",
    "gap": "Gap",
    "design_effect": "Design effect",
    "low, high": "95 % interval",
    "inside": "Inside",
    "lateness_median_s": "Late, median",
    "lateness_p99_s": "Late, 99 %",
    "invalid": "Invalid",
}
"""Figure -> what the page's tables and charts call it."""


@dataclass(frozen=True)
class PointCounts:
    """What was counted and timed at one point; DEFINITIONS says what each is."""

    slots: int
    aimed_blocking: float
    arrivals: int
    refused: int
    other_failures: int
    arrival_rate_per_s: float
    good_latency_s: float
    refusal_latency_s: float
    lateness_median_s: float
    lateness_p99_s: float


@dataclass(frozen=True)
class PointFigures(PointCounts):
    """The figures of one point, beside theory; DEFINITIONS says what each is."""

    holding_time_s: float
    offered_load_erlangs: float
    refused_share: float
    erlang_b: float | None
    gap: float | None
    design_effect: float
    low: float
    """The lower end of Wilson's 95 % interval of the refused share."""
    high: float
    """Its upper end."""
    inside: bool | None
    invalid: str
    topology: str = field(default="", metadata=LEFT_OUT_EMPTY)
    """The topology's name; no such key where a number of slots was checked."""


def point_figures(records: PointRecords, service_time_s: float, queued_s: float | None = None) -> PointFigures:
    """Computes one point's figures.

    `queued_s`: how long a request holds a slot where theory does not apply; None where it does.
    """
    slots, arrivals = records.point.slots, records.counted
    good_s = [arrival.latency_s for arrival in arrivals if not arrival.failed]
    refusals_s = [arrival.latency_s for arrival in arrivals if records.is_refusal(arrival)]
    late_s = [arrival.sent_at_s - arrival.scheduled_at_s for arrival in arrivals]
    before = records.arrivals[records.point.warm_up_arrivals - 1]
    counts = PointCounts(
        slots=slots,
        aimed_blocking=records.point.aimed_blocking,
        arrivals=len(arrivals),
        refused=len(refusals_s),
        other_failures=len(arrivals) - len(good_s) - len(refusals_s),
        arrival_rate_per_s=round(len(arrivals) / (arrivals[-1].sent_at_s - before.sent_at_s), 6),
        good_latency_s=round(statistics.fmean(good_s), 6) if good_s else 0.0,
        refusal_latency_s=percentile(refusals_s, 50) or 0.0,
        lateness_median_s=round(percentile(late_s, 50) or 0.0, 6),
        lateness_p99_s=round(percentile(late_s, 99) or 0.0, 6),
    )
    effect = None if queued_s is None else measured_design_effect(records, queued_s)
    return judge(counts, service_time_s, records.point.topology, effect)


def refusals(records: PointRecords) -> tuple[Floats, Floats]:
    """When each counted request was due, ascending, and 1 where it was refused, else 0."""
    due = sorted((each.scheduled_at_s, records.is_refusal(each)) for each in records.arrivals)
    moments_s, refused = np.array(due[records.point.warm_up_arrivals :], dtype=float).T
    return moments_s, refused


def measured_design_effect(records: PointRecords, held_s: float) -> float:
    """The design effect without a model: the variance of sums over blocks of 10 holding times by that of a share."""
    moments_s, refused = refusals(records)
    share = float(refused.mean())
    independent = len(refused) * share * (1 - share)
    return paired_difference(moments_s, refused, held_s).variance / independent if independent else 1.0


def judge(
    counts: PointCounts, service_time_s: float, topology: str = "", measured_effect: float | None = None
) -> PointFigures:
    """Sets what was measured beside theory; with a design effect that was measured there is no theory."""
    holding_time_s = max(0.0, counts.good_latency_s - counts.refusal_latency_s)
    load = round(counts.arrival_rate_per_s * holding_time_s, 3)
    share = counts.refused / counts.arrivals
    expected = erlang_b(counts.slots, load) if measured_effect is None else None
    effect = measured_effect or design_effect(counts.slots, max(load, LEAST_LOAD_ERLANGS), counts.arrivals)
    interval = wilson(share, counts.arrivals / effect)
    invalid = _why_invalid(counts, service_time_s)
    return PointFigures(
        **vars(counts),
        holding_time_s=round(holding_time_s, 6),
        offered_load_erlangs=load,
        refused_share=round(share, 6),
        erlang_b=rounded(expected, 6),
        gap=None if expected is None else round(share - expected, 6),
        design_effect=round(effect, 3),
        low=round(interval.low, 6),
        high=round(interval.high, 6),
        inside=None if invalid or expected is None else interval.contains(expected),
        invalid=invalid,
        topology=topology,
    )


def mean_gap(points: Sequence[PointFigures]) -> tuple[float, float]:
    """The mean of the gaps of points that theory applies to, and how far from 0 chance takes it in 95 % of runs.

    Points are independent; a point's variance is that of a share of as many requests as are independent.
    """
    known = [(each, each.erlang_b, each.gap) for each in points if each.erlang_b is not None and each.gap is not None]
    variances = [each.design_effect * expected * (1 - expected) / each.arrivals for each, expected, _ in known]
    return statistics.fmean(gap for _, _, gap in known), Z_95 * math.sqrt(sum(variances)) / len(points)


def _why_invalid(counts: PointCounts, service_time_s: float) -> str:
    lateness, refusal = counts.lateness_p99_s / service_time_s, counts.refusal_latency_s / service_time_s
    if counts.other_failures:
        return f"{counts.other_failures} failed otherwise than by saturation"
    if lateness > LAG_OF_SERVICE_TIME:
        return f"the generator lagged, 1 in 100 sent late by {100 * lateness:.0f} % of the service time or more"
    if refusal > REFUSAL_OF_SERVICE_TIME:
        return f"the machine was busy, a refusal took {100 * refusal:.0f} % of the service time"
    return ""
