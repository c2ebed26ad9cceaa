"""Figures of a blocking run, computed from its records alone, each with its definition in one sentence."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from experiments.blocking.records import PointRecords
from experiments.results.records import LEFT_OUT_EMPTY
from experiments.results.statistics import percentile
from experiments.theory.erlang import erlang_b
from experiments.theory.intervals import Z_95, design_effect, wilson

SATURATED = "saturated"

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
    "refused": "requests among them that the router refused because it was saturated",
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
    "erlang_b": "the refused share of a loss system with these slots at this offered load, by Erlang's B formula",
    "gap": "refused_share less erlang_b",
    "design_effect": (
        "how many requests tell as much as one independent request would (refusals come in groups, but chance in the "
        "arrival rate is known), by simulation of the loss system"
    ),
    "low, high": "Wilson's 95 % interval of the refused share, with arrivals divided by design_effect as its sample",
    "inside": "whether erlang_b lies in that interval; null for an invalid point",
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
    erlang_b: float
    gap: float
    design_effect: float
    low: float
    """The lower end of Wilson's 95 % interval of the refused share."""
    high: float
    """Its upper end."""
    inside: bool | None
    invalid: str
    topology: str = field(default="", metadata=LEFT_OUT_EMPTY)
    """The topology's name; no such key where a number of slots was checked."""


def point_figures(records: PointRecords, service_time_s: float) -> PointFigures:
    """Computes one point's figures."""
    slots, arrivals = records.point.slots, records.counted
    good_s = [arrival.latency_s for arrival in arrivals if not arrival.failed]
    refusals_s = [arrival.latency_s for arrival in arrivals if arrival.reason == SATURATED]
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
    return judge(counts, service_time_s, records.point.topology)


def judge(counts: PointCounts, service_time_s: float, topology: str = "") -> PointFigures:
    """Sets what was measured beside theory."""
    holding_time_s = max(0.0, counts.good_latency_s - counts.refusal_latency_s)
    load = round(counts.arrival_rate_per_s * holding_time_s, 3)
    share, expected = counts.refused / counts.arrivals, erlang_b(counts.slots, load)
    effect = design_effect(counts.slots, max(load, LEAST_LOAD_ERLANGS), counts.arrivals)
    interval = wilson(share, counts.arrivals / effect)
    invalid = _why_invalid(counts, service_time_s)
    return PointFigures(
        **vars(counts),
        holding_time_s=round(holding_time_s, 6),
        offered_load_erlangs=load,
        refused_share=round(share, 6),
        erlang_b=round(expected, 6),
        gap=round(share - expected, 6),
        design_effect=round(effect, 3),
        low=round(interval.low, 6),
        high=round(interval.high, 6),
        inside=None if invalid else interval.contains(expected),
        invalid=invalid,
        topology=topology,
    )


def mean_gap(points: Sequence[PointFigures]) -> tuple[float, float]:
    """The mean of the points' gaps, and how far from 0 chance alone takes it in 95 % of runs.

    Points are independent; a point's variance is that of a share of as many requests as are independent.
    """
    variances = [each.design_effect * each.erlang_b * (1 - each.erlang_b) / each.arrivals for each in points]
    return statistics.fmean(each.gap for each in points), Z_95 * math.sqrt(sum(variances)) / len(points)


def _why_invalid(counts: PointCounts, service_time_s: float) -> str:
    lateness, refusal = counts.lateness_p99_s / service_time_s, counts.refusal_latency_s / service_time_s
    if counts.other_failures:
        return f"{counts.other_failures} failed otherwise than by saturation"
    if lateness > LAG_OF_SERVICE_TIME:
        return f"the generator lagged, 1 in 100 sent late by {100 * lateness:.0f} % of the service time or more"
    if refusal > REFUSAL_OF_SERVICE_TIME:
        return f"the machine was busy, a refusal took {100 * refusal:.0f} % of the service time"
    return ""
