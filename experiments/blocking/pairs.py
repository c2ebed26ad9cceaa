"""Topologies that were offered the same arrivals: goodput of each, and how many slots apart two of them are."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from experiments.blocking.figures import PointFigures, refusals
from experiments.blocking.records import PointRecords
from experiments.theory.erlang import erlangs_at_blocking
from experiments.theory.paired import (
    Estimate,
    add_up,
    judge_estimate,
    paired_difference,
    refused_share_per_slot,
    sample_to_decide,
)
from experiments.theory.verdicts import Verdict

FIRST_FAILURES = 0.01
"""Topologies are set beside each other at the rate at which this share is refused."""

SATURATED_FROM = 0.10
"""Loads chosen for a refused share below this are about the first failure, the others beyond it."""

MOST_ARRIVALS = 1_000_000
"""Where more would be needed, no number is given."""

PAIR_DEFINITIONS = {
    "goodput": (
        "good answers per second: arrival_rate_per_s times the share of requests that got one; by theory "
        "arrival_rate_per_s times 1 less erlang_b"
    ),
    "slots apart": (
        "how many slots more a topology acts as if it had than another: requests that the other refused more, of the "
        "same arrivals, by the requests that a missing slot has refused more by Erlang B at this load (where their "
        "slots differ: the mean over the slots between); its variance is that of sums over blocks of 10 service times"
    ),
    "saturation": "both topologies at the loads chosen for less than 10 % refused of the largest, together",
    "beyond": "the same at the loads chosen for 10 % and more, where all slots are mostly held",
    "verdict": (
        "equal where the 90 % interval of slots apart lies within the margin (two one-sided tests of 5 %), else better "
        "or worse where its 95 % interval leaves 0 out, else not decided"
    ),
}
"""Figure of a comparison -> what it is, as those of points have theirs in DEFINITIONS."""

PAIR_LABELS = {
    "goodput": "Good per s",
    "slots apart": "Slots apart",
    "saturation": "Below 10 %",
    "beyond": "10 % and more",
    "verdict": "Verdict",
}
"""Key of PAIR_DEFINITIONS -> its name in tables."""


@dataclass(frozen=True)
class Goodput:
    """One load of one topology, as what it serves."""

    topology: str
    """The topology's name."""
    aimed_blocking: float
    """The refused share of the largest topology for which the load was chosen."""
    arrival_rate_per_s: float
    """Requests offered per second."""
    goodput_per_s: float
    """Good answers per second: arrival_rate_per_s times the share of requests that got one."""
    low_per_s: float
    """Lower end of its 95 % interval, from that of the refused share."""
    high_per_s: float
    """Its upper end."""
    theory_per_s: float | None
    """The same of a loss system with these slots at this offered load: arrival_rate_per_s times 1 less erlang_b; null
    where theory does not apply."""


@dataclass(frozen=True)
class SlotsApart:
    """How many slots a topology acts as if it had more than another of which it got the same arrivals."""

    aimed_blockings: list[float]
    """The loads that it is from, by the refused share of the largest topology for which each was chosen."""
    arrivals: int
    """Counted requests, the same for both."""
    refused_less: int
    """Requests that `against` refused less those that `topology` refused."""
    refused_apart: int
    """Requests that one of both refused and the other did not."""
    requests_per_slot: float
    """How many requests more are refused for each slot that is missing, by Erlang B."""
    slots: float
    """refused_less by requests_per_slot: above 0 `topology` serves more."""
    low: float
    """Lower end of the 95 % interval of `slots`, from the differences between blocks of time."""
    high: float
    """Its upper end."""
    low_90: float
    """Lower end of the 90 % interval, which two one-sided tests for equality go by."""
    high_90: float
    """Its upper end."""
    goodput_more_per_s: float
    """Good answers per second that `topology` gave more than `against`, the mean over the requests' time."""
    verdict: str
    """Better, worse, equal within the margin, not decided: `topology` beside `against`."""
    more_arrivals: int | None
    """Not decided: how many arrivals more at each load would decide in 4 of 5 runs; null where it is decided, and
    where a million would not do."""


@dataclass(frozen=True)
class Pair:
    """Two topologies beside each other."""

    topology: str
    """The one that is judged."""
    against: str
    """The one that it is set beside."""
    planned_slots_more: int
    """By plan: slots of `topology` less those of `against`."""
    rate_per_slot_per_s: float
    """By how many requests per second a slot more raises the rate at which 1 % are refused, by Erlang B."""
    loads: list[SlotsApart]
    """One entry per load at which both points are valid."""
    saturation: SlotsApart | None
    """The loads about the first failure together; null without a valid one."""
    beyond: SlotsApart | None
    """The loads beyond it together; null without a valid one."""


@dataclass(frozen=True)
class ClaimVerdict:
    """Whether what the post says holds by this run."""

    claim: str
    """In the post's words."""
    verdict: str
    """Holds, does not hold, or not decided."""
    reason: str
    """Why, in words."""


@dataclass(frozen=True)
class Comparison:
    """Topologies that were offered the same arrivals."""

    goodput: list[Goodput]
    """One entry per point, in the order of `points`."""
    pairs: list[Pair]
    """Every two of the topologies; none where theory does not apply, by which a slot is worth so many requests."""
    claims: list[ClaimVerdict]
    """The post's claims that this run can judge."""


@dataclass(frozen=True)
class _Load:
    """What one load says of a pair: requests refused less, in total and per slot, and over how much time."""

    point: PointFigures
    refused: Estimate
    """Requests that `against` refused less those that `topology` refused."""
    refused_apart: int
    requests_per_slot: float
    duration_s: float


Measured = tuple[PointRecords, PointFigures]
"""One point."""


def goodput(point: PointFigures) -> Goodput:
    """What one point served."""
    rate_per_s = point.arrival_rate_per_s
    failed_share = point.other_failures / point.arrivals
    shares = (1 - failed_share - refused for refused in (point.refused_share, point.high, point.low))
    good, low, high = (round(rate_per_s * max(0.0, share), 3) for share in shares)
    theory = None if point.erlang_b is None else round(rate_per_s * (1 - point.erlang_b), 3)
    return Goodput(point.topology, point.aimed_blocking, rate_per_s, good, low, high, theory)


def pairs(
    measured: Sequence[Measured], subject: str, service_time_s: float, margin_slots: float,
    are_beside: Callable[[str, str], bool] = lambda *_: True,
) -> list[Pair]:  # fmt: skip
    """Every two topologies beside each other, in the order in which they stand; `subject` is judged, not set beside.

    `are_beside`: whether two of these names are to be compared.
    """
    names = list(dict.fromkeys(point.topology for _, point in measured))
    by_name = {name: [each for each in measured if each[1].topology == name] for name in names}
    ordered = [(later, sooner) if sooner != subject else (sooner, later) for sooner, later in combinations(names, 2)]
    return [_pair(by_name[a], by_name[b], service_time_s, margin_slots) for a, b in ordered if are_beside(a, b)]


def _pair(a: Sequence[Measured], b: Sequence[Measured], service_time_s: float, margin_slots: float) -> Pair:
    """`a` beside `b`, at the loads that were finished of both and are valid."""
    others = {point.aimed_blocking: (records, point) for records, point in b if not point.invalid}
    loads = [
        _load(each, others[each[1].aimed_blocking], service_time_s)
        for each in a
        if not each[1].invalid and each[1].aimed_blocking in others
    ]
    first, second = a[0][1], b[0][1]
    return Pair(
        topology=first.topology,
        against=second.topology,
        planned_slots_more=first.slots - second.slots,
        rate_per_slot_per_s=round(_erlangs_per_slot(first.slots, second.slots) / service_time_s, 3),
        loads=[_slots_apart([load], margin_slots) for load in loads],
        saturation=_together((load for load in loads if load.point.aimed_blocking < SATURATED_FROM), margin_slots),
        beyond=_together((load for load in loads if load.point.aimed_blocking >= SATURATED_FROM), margin_slots),
    )


def _erlangs_per_slot(slots_a: int, slots_b: int) -> float:
    """By how much a slot more raises the load at which 1 % are refused: the mean between both, or of the last slot."""
    most = max(slots_a, slots_b)
    fewest = max(1, min(slots_a, slots_b, most - 1))
    apart = erlangs_at_blocking(most, FIRST_FAILURES) - erlangs_at_blocking(fewest, FIRST_FAILURES)
    return apart / max(1, most - fewest)


def _load(a: Measured, b: Measured, service_time_s: float) -> _Load:
    """Request by request: the k-th that was due is the same moment's in both."""
    (first, point), (second, other) = a, b
    due_s, refused = zip(*(refusals(records) for records in (first, second)), strict=True)
    count = min(map(len, refused))
    differences = refused[1][:count] - refused[0][:count]
    erlangs = (point.offered_load_erlangs + other.offered_load_erlangs) / 2
    return _Load(
        point=point,
        refused=paired_difference(due_s[0][:count], differences, service_time_s),
        refused_apart=int(np.abs(differences).sum()),
        requests_per_slot=count * refused_share_per_slot(point.slots, other.slots, erlangs),
        duration_s=count / point.arrival_rate_per_s,
    )


def _together(loads: Iterable[_Load], margin_slots: float) -> SlotsApart | None:
    """Several loads as one estimate; None without any."""
    chosen = list(loads)
    return _slots_apart(chosen, margin_slots) if chosen else None


def _slots_apart(loads: Sequence[_Load], margin_slots: float) -> SlotsApart:
    """All refused less by all that a slot is worth: a ratio of sums, which no load outweighs by chance."""
    refused = add_up([load.refused for load in loads])
    per_slot = sum(load.requests_per_slot for load in loads)
    slots = refused.times(1 / per_slot)
    both, sides = slots.interval(0.95), slots.interval(0.90)
    verdict = judge_estimate(slots, margin_slots)
    arrivals = sum(load.point.arrivals for load in loads)
    more = arrivals * (sample_to_decide(slots, margin_slots) - 1) / len(loads)
    return SlotsApart(
        aimed_blockings=[load.point.aimed_blocking for load in loads],
        arrivals=arrivals,
        refused_less=round(refused.value),
        refused_apart=sum(load.refused_apart for load in loads),
        requests_per_slot=round(per_slot, 3),
        slots=round(slots.value, 3),
        low=round(both.low, 3),
        high=round(both.high, 3),
        low_90=round(sides.low, 3),
        high_90=round(sides.high, 3),
        goodput_more_per_s=round(refused.value / sum(load.duration_s for load in loads), 3),
        verdict=verdict,
        more_arrivals=_rounded_up(more) if verdict is Verdict.NOT_DECIDED else None,
    )


def _rounded_up(more: float) -> int | None:
    """To hundreds, at least one: the spread is known no better; None beyond MOST_ARRIVALS."""
    return max(100, 100 * math.ceil(more / 100)) if more <= MOST_ARRIVALS else None
