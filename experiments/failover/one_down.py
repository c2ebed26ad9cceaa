"""What it costs that one predictor is gone until its repair: at the fault's edges, and by too few slots meanwhile."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from experiments.answer.measured import EdgeLosses, OneDown
from experiments.failover.faults import FAULTS
from experiments.failover.predicted import predict_windows
from experiments.failover.records import DomainPlan, FailoverSettings, OfferedLoad, SteadyRequest
from experiments.failover.slots import rotations
from experiments.failover.window_metrics import WindowFigures
from experiments.failover.windows import WindowRecords
from experiments.theory.fault_scenario import Effect
from experiments.theory.intervals import design_effect, wilson
from experiments.theory.sizing import Demand, Deployment, Kind

TAKES_AWAY = (Effect.KILL, Effect.CLOSE, Effect.FREEZE, Effect.FAIL, Effect.STALL)
"""After these a predictor serves nothing until its repair, and the router can tell."""

ON_ITS_WAY_S = 0.1
"""A request sent so shortly before the router has a predictor back may reach it afterwards."""


@dataclass(frozen=True)
class MeasuredWindow:
    """A window and its figures."""

    records: WindowRecords
    figures: WindowFigures

    @property
    def takes_one_away(self) -> bool:
        """Whether its fault takes one predictor away until its repair, and changes nothing else."""
        fault = FAULTS[self.figures.fault]
        return fault.effect in TAKES_AWAY and not fault.kind and len(self.figures.targets) == 1


@dataclass(frozen=True)
class Spell:
    """A time in which the same predictors serve, or stand by warm; epoch seconds."""

    begins_s: float
    ends_s: float
    names: frozenset[str]


def deployment_of(plan: DomainPlan) -> Deployment | None:
    """The deployment that a topology is; None where it has regions, several standbys or unequal capacities."""
    actives, standbys = len(plan.actives), len(plan.standbys)
    if plan.regions or len(set(plan.capacities.values())) != 1 or standbys > 1 or not actives:
        return None
    if standbys:
        return Deployment(Kind.COLD if plan.cold else Kind.WARM, actives + 1)
    return Deployment(Kind.ACTIVE if actives > 1 else Kind.SINGLE, actives)


def spells_of(records: WindowRecords, *, noticed: bool) -> list[Spell]:
    """Who serves or stands by warm from the fault to the window's end, by the router's events.

    A predictor that a fault has is gone from the fault to its repair, or, `noticed`, once the router has taken it out.
    """
    window, steps = records.window, list(rotations(records))
    moments = sorted({*(step.time_s for step in steps), window.repaired_s, window.end_s})
    found: list[Spell] = []
    for begins_s, ends_s in pairwise(each for each in moments if each <= window.end_s):
        names = [step for step in steps if step.time_s <= begins_s][-1].available
        if begins_s < window.repaired_s and not noticed:
            names -= set(window.targets)
        same = found.pop() if found and found[-1].names == names else None
        found.append(Spell(same.begins_s if same else begins_s, ends_s, names))
    return found


def edge_losses(windows: Iterable[MeasuredWindow], demand: Demand) -> EdgeLosses:
    """What the faults in these windows cost per erlang offered, beside what too few slots refuse of it meanwhile.

    What these refuse is taken of the requests that were sent, which varies less than rate times time; a single fault's
    figure may be below 0 all the same.
    """
    gone = [each for each in windows if each.takes_one_away]
    counted, timed = (
        [each for each in gone if each.figures.counts_losses],
        [each for each in gone if each.figures.valid],
    )
    lost = (each.figures.lost - _refused_by_formula(each.records, demand) for each in counted)
    return EdgeLosses(
        tuple(round(each / demand.erlangs, 6) + 0.0 for each in lost),  # no -0.0
        tuple(round(each.figures.delayed / demand.erlangs, 6) for each in timed),
    )


def _refused_by_formula(records: WindowRecords, demand: Demand) -> float:
    """How many of the requests sent in the window the predictors that were there refuse in the mean."""
    spells = spells_of(records, noticed=False)
    begins_s = [each.begins_s for each in spells]
    served_by = (spells[bisect_right(begins_s, each.sent_at_s) - 1].names for each in records.sent)
    shares = {number: demand.refused_share(number) for number in range(len(records.plan.capacities) + 1)}
    return sum(shares[len(names)] for names in served_by)


@dataclass(frozen=True)
class Outage:
    """The requests sent while one predictor was out, and nobody in its place, after a while."""

    run: int
    """The number of its run."""
    begins_s: float
    ends_s: float
    sent: list[SteadyRequest]


def outages_of(records: WindowRecords, after_s: float) -> Iterator[Outage]:
    """The times in which the router had just the fault's target out, each from `after_s` after its beginning on.

    Until then those in flight are of the time before. A cold standby ends it as it serves.
    """
    warm = {name for name in records.plan.capacities if name not in records.plan.cold}
    for spell in spells_of(records, noticed=True):
        begins_s, ends_s = spell.begins_s + after_s, spell.ends_s - ON_ITS_WAY_S
        if spell.names == warm - set(records.window.targets) and begins_s < ends_s:
            sent = [each for each in records.sent if begins_s <= each.sent_at_s < ends_s]
            yield Outage(records.run.run.repeat, begins_s, ends_s, sent)


def check_one_down(
    settings: FailoverSettings, plan: DomainPlan, load: OfferedLoad, own: Sequence[MeasuredWindow], answer_s: float
) -> OneDown | None:
    """What a topology refused with one predictor down under a load, beside the formula; None where it never was.

    `own` are all valid windows of the topology; `answer_s` is how long an undisturbed answer holds a slot. The formula
    goes by it; of a server of the user's own by the mean of the answers meanwhile.
    """
    deployment = deployment_of(plan)
    gone = [each for each in own if each.takes_one_away and each.figures.load == load.name]
    by_window = [list(outages_of(each.records, answer_s)) for each in gone]
    outages = [each for own_outages in by_window for each in own_outages]
    sent, refused, rate_per_s = totals(outages)
    if deployment is None or not sent:
        return None
    answers_s = [request.latency_s for each in outages for request in each.sent if request.good]
    held_s, left = (answer_s if settings.server is None else fmean(answers_s or [answer_s])), deployment.running - 1
    demand = Demand(rate_per_s, held_s, next(iter(plan.capacities.values())))
    slots = left * demand.capacity
    interval = wilson(refused / sent, independent_requests(outages, slots, load, held_s, settings.pacing_s))
    fault, struck = _cost_of(gone)
    found = predict_windows(settings, [each.records for each in struck], [each.records for each in own])
    lost = sum(each.figures.lost for each in struck)
    return OneDown(
        deployment=deployment.name,
        topology=plan.name,
        load=load.name,
        faults=sum(bool(each) for each in by_window),
        slots=slots,
        sent=sent,
        refused=refused,
        low=round(interval.low, 6),
        high=round(interval.high, 6),
        erlang_b=round(demand.refused_share(left), 6),
        fault=fault,
        struck=len(struck),
        lost_per_fault=round(lost / len(struck), 4),
        predicted=found.lost if found else None,
        measured=lost,
    )


def _cost_of(gone: Sequence[MeasuredWindow]) -> tuple[str, list[MeasuredWindow]]:
    """A fault, a crash if there was one, and its windows."""
    met = {each.figures.fault for each in gone}
    fault = next(name for name in ("crash", *FAULTS) if name in met)
    return fault, [each for each in gone if each.figures.fault == fault]


def totals(outages: Sequence[Outage]) -> tuple[int, int, float]:
    """Requests sent in the outages, those of them that got no good answer, and requests sent per second."""
    sent = [request for each in outages for request in each.sent]
    lasted_s = sum(each.ends_s - each.begins_s for each in outages)
    return len(sent), sum(request.failed for request in sent), len(sent) / lasted_s if outages else 0.0


def independent_requests(
    outages: Sequence[Outage], slots: int, load: OfferedLoad, held_s: float, pacing_s: float
) -> float:
    """How many independent requests those sent in the outages are worth.

    Refusals come in groups, by which they are worth fewer (`design_effect`); and users send at the same moments of
    every pacing, so that what the same moments of a run bring again says nothing new. Never worth more than they are:
    where nearly all slots are held all the time, the design effect is for one long time, these are several short ones.
    """
    sent, _, _ = totals(outages)
    new = sent * _new_share(outages, pacing_s)
    effect = design_effect(slots, load.rate_per_s * held_s, max(1, round(load.rate_per_s * pacing_s))) if slots else 1.0
    return max(1.0, new / max(1.0, effect))


def _new_share(outages: Sequence[Outage], pacing_s: float) -> float:
    """Which share of the outages' time is of moments of the pacing that no other outage of the same run has."""
    by_run: dict[int, list[tuple[float, float]]] = {}
    for each in outages:
        by_run.setdefault(each.run, []).extend(_folded(each, pacing_s))
    new_s = sum(_union_s(parts) for parts in by_run.values())
    return new_s / sum(each.ends_s - each.begins_s for each in outages)


def _folded(outage: Outage, pacing_s: float) -> list[tuple[float, float]]:
    """The outage as parts of one pacing."""
    begins_s = outage.begins_s % pacing_s
    ends_s = begins_s + min(pacing_s, outage.ends_s - outage.begins_s)
    return [(begins_s, min(ends_s, pacing_s)), (0.0, max(0.0, ends_s - pacing_s))]


def _union_s(parts: Iterable[tuple[float, float]]) -> float:
    """How long the parts are together, what several have in common once."""
    total_s, until_s = 0.0, 0.0
    for begins_s, ends_s in sorted(parts):
        total_s += max(0.0, ends_s - max(begins_s, until_s))
        until_s = max(until_s, ends_s)
    return total_s


def pooled(edges: Iterable[tuple[str, EdgeLosses]]) -> Mapping[str, EdgeLosses]:
    """Deployment -> the edges of all topologies that are that one, without those of no fault."""
    found: dict[str, EdgeLosses] = {}
    for name, each in edges:
        before = found.get(name, EdgeLosses((), ()))
        found[name] = EdgeLosses(before.lost + each.lost, before.delayed + each.delayed)
    return {name: each for name, each in found.items() if each.lost and each.delayed}
