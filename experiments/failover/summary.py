"""What a failover run comes to, computed from its records alone: figures of each topology, classes of summary.json."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from experiments.answer.answer import Answer
from experiments.failover.impacts import Impact, average_impact, is_failure, measure_impact
from experiments.failover.metrics import METRICS, MeasuredRun, Metric
from experiments.failover.pairs import PairVerdict, judge_pairs
from experiments.failover.records import DomainPlan, FailoverSettings, FaultRun, OfferedLoad, Step
from experiments.failover.slots import has_reserve, is_overloaded, refused_share, slots_needed
from experiments.failover.window_metrics import WindowFigures, measure_window
from experiments.failover.windows import never_answered, windows_of
from experiments.results.records import LEFT_OUT_EMPTY
from experiments.results.statistics import RunStats, aggregate, rounded


@dataclass(frozen=True)
class TopologyScorecard:
    """One topology: its figures over the repeats, and every window."""

    topology: str
    """The deployment's name: the topology's, or topology / router."""
    slots: int
    """The most requests in flight with every predictor in rotation, standbys included."""
    roles: dict[str, str]
    """Predictor -> active or standby, by plan."""
    largest_domain: list[str]
    """The predictors that the out-of-region capacity does without."""
    figures: dict[str, RunStats | None]
    """The scorecard, under the first load."""
    values: dict[str, list[float]]
    """Metric -> its value of each repeat that has one, under the first load."""
    windows: list[WindowFigures]
    """One entry per fault, load and run."""
    skipped: dict[str, str]
    """Fault -> why it was skipped."""
    never_answered: list[str] = field(default_factory=list, metadata=LEFT_OUT_EMPTY)
    """The active predictors that answered nothing in any whole run, although others did: faults that strike them prove
    nothing; no such key where all did, or where answers name nobody."""


@dataclass(frozen=True)
class TopologyUnderLoad:
    """What faults cost one topology under one load."""

    topology: str
    """The deployment's name: the topology's, or topology / router."""
    refused_share: float | None
    """What it refuses of the load with everything up (Erlang B); null where theory does not apply."""
    overloaded: bool
    """Whether that is more than 1 %: then it is compared with none."""
    has_reserve: bool | None
    """Whether with all as planned the load could do without any one predictor at once; null where theory does not
    apply, or the router is not this project's."""
    average: Impact
    """The mean over the faults of predictors that are compared, of an overloaded topology over those that it met."""
    faults: list[Impact]
    """Each fault under this load, in the order of the runs, the router's own left out."""
    router: list[Impact]
    """The router's own faults: it stands in front of every topology alike."""
    figures: dict[str, RunStats | None]
    """The metrics that depend on the load, over the repeats."""

    def impact_of(self, fault: str) -> Impact | None:
        """What that fault costs; None where it was not measured."""
        return next((each for each in (*self.faults, *self.router) if each.fault == fault), None)


@dataclass(frozen=True)
class LoadScorecard:
    """The topologies under one load."""

    load: str
    """The load's name."""
    rate_per_s: float
    """Requests offered per second."""
    erlangs: float | None
    """The rate times the service time: requests in flight in the mean, were none refused; null where theory does not
    apply."""
    slots_needed: int | None
    """The fewest slots that refuse at most 1 % of it (Erlang B); null where theory does not apply."""
    compared: list[str]
    """The unplanned faults of predictors whose losses were counted in every topology that is not overloaded."""
    not_compared: list[str]
    """Those of which one of these has no window that counts: they are in no mean and no verdict."""
    timed: list[str]
    """Those of which each of these has a valid window: means of times and delays are over them."""
    topologies: list[TopologyUnderLoad]
    """One entry per topology with a finished run, in the order asked for."""

    def of(self, topology: str) -> TopologyUnderLoad:
        """That topology."""
        return next(each for each in self.topologies if each.topology == topology)


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim, what became of it, and the figures."""

    claim: str
    """What the post says."""
    load: str
    """The load under which it is judged."""
    judged_by: list[str]
    """The metrics that decide it."""
    verdict: str
    """Holds, does not hold, tie or not decided."""
    more_repeats: int | None
    """Not decided: so many repeats more would do; null where it is decided, and where no number would."""
    sentence: str
    """The verdict in words, with its figures."""


@dataclass(frozen=True)
class FailoverSummary:
    """A whole failover run."""

    schema: str
    """Name and version of this layout."""
    finding: list[str]
    """The result in sentences, the headline first."""
    settings: FailoverSettings
    """As in settings.json."""
    topologies: list[TopologyScorecard]
    """One entry per topology with a finished run, in the order asked for."""
    loads: list[LoadScorecard]
    """One entry per load with a finished fault, in order."""
    pairs: list[PairVerdict]
    """Every pair of topologies that a load does not overload, in every metric that is judged."""
    verdicts: list[ClaimVerdict]
    """The post's claims and what became of them."""
    answer: Answer | None
    """Which deployment to take at the calm load's rate, as `choose` has it, with defaults for what is not measured;
    null where no fault took one predictor away, theory has too little to go by, or no size holds the target."""
    definitions: dict[str, str]
    """Figure -> its definition in one sentence."""


def measure_runs(settings: FailoverSettings, runs: Sequence[FaultRun]) -> list[list[MeasuredRun]]:
    """Per load the figures of every run's windows, and which of its faults are compared."""
    measured = [(run, [measure_window(records) for records in windows_of(run, settings)]) for run in runs]
    return [_under(load, settings, measured) for load in settings.offered_loads]


def _under(
    load: OfferedLoad, settings: FailoverSettings, measured: Sequence[tuple[FaultRun, list[WindowFigures]]]
) -> list[MeasuredRun]:
    plans = {plan.name: plan for plan in settings.topologies}
    own = [(run, [window for window in windows if window.load == load.name]) for run, windows in measured]
    erlangs = settings.erlangs(load)
    sides = {
        repeat: _sides(
            [(plans[run.run.topology], windows) for run, windows in own if run.run.repeat == repeat], erlangs
        )
        for repeat in {run.run.repeat for run, _ in own}
    }
    return [
        MeasuredRun(
            run, plans[run.run.topology], load, settings.capacity_spawn_rate_per_s > 0, windows,
            compared=_in_all(sides[run.run.repeat], "counts_losses"), timed=_in_all(sides[run.run.repeat], "valid"),
        )
        for run, windows in own
    ]  # fmt: skip


def _sides(
    measured: Sequence[tuple[DomainPlan, list[WindowFigures]]], erlangs: float | None
) -> list[list[WindowFigures]]:
    """The windows of each topology that is compared: overloaded ones are not, unless all are."""
    carrying = [windows for plan, windows in measured if not is_overloaded(plan, erlangs)]
    return carrying or [windows for _, windows in measured]


def _in_all(sides: Iterable[Sequence[WindowFigures]], condition: str) -> frozenset[str]:
    """The unplanned faults of predictors of which each side has a window that meets the condition."""
    return frozenset.intersection(
        *(_failures(window for window in windows if getattr(window, condition)) for windows in sides)
    )


def _failures(windows: Iterable[WindowFigures]) -> frozenset[str]:
    """The unplanned faults of predictors among these."""
    return frozenset(each.fault for each in windows if each.of_predictors and is_failure(each.fault))


def score_topologies(settings: FailoverSettings, by_load: Sequence[Sequence[MeasuredRun]]) -> list[TopologyScorecard]:
    """The scorecard of every topology with a finished run, in the settings' order."""
    return [
        _score(plan, own, [window for runs in by_load for run in runs if run.plan == plan for window in run.windows])
        for plan in settings.topologies
        if (own := [run for run in by_load[0] if run.plan == plan])
    ]


def _score(plan: DomainPlan, runs: Sequence[MeasuredRun], windows: list[WindowFigures]) -> TopologyScorecard:
    return TopologyScorecard(
        topology=plan.name,
        slots=plan.slots,
        roles=plan.roles,
        largest_domain=plan.largest_domain(),
        figures={metric.name: aggregate(values_of(runs, metric)) for metric in METRICS},
        values={metric.name: values_of(runs, metric) for metric in METRICS},
        windows=windows,
        skipped={step.fault: step.target for run in runs for step in run.run.actions if step.action == Step.SKIPPED},
        never_answered=_silent_in_all(plan, runs),
    )


def _silent_in_all(plan: DomainPlan, runs: Sequence[MeasuredRun]) -> list[str]:
    """The active predictors that answered nothing in any of the runs, in file order."""
    silent = [never_answered(run.run, plan) for run in runs]
    return [name for name in plan.actives if all(name in names for names in silent)]


def values_of(runs: Iterable[MeasuredRun], metric: Metric) -> list[float]:
    """A metric of each repeat that has one."""
    return [value for run in runs if (value := metric.compute(run)) is not None]


def score_loads(settings: FailoverSettings, by_load: Sequence[Sequence[MeasuredRun]]) -> list[LoadScorecard]:
    """The topologies under every load with a finished fault."""
    return [_score_load(settings, runs) for runs in by_load if any(run.windows for run in runs)]


def _score_load(settings: FailoverSettings, runs: Sequence[MeasuredRun]) -> LoadScorecard:
    load, erlangs = runs[0].load, settings.erlangs(runs[0].load)
    groups = [(plan, [run for run in runs if run.plan == plan]) for plan in settings.topologies]
    present = [(plan, group) for plan, group in groups if group]
    sides = _sides([(plan, [window for run in group for window in run.windows]) for plan, group in present], erlangs)
    in_all = {condition: _in_all(sides, condition) for condition in ("counts_losses", "valid")}
    compared, timed = ([fault for fault in load.faults if fault in found] for found in in_all.values())
    met = _failures(window for windows in sides for window in windows)
    return LoadScorecard(
        load=load.name,
        rate_per_s=load.rate_per_s,
        erlangs=rounded(erlangs, 4),
        slots_needed=slots_needed(erlangs),
        compared=compared,
        not_compared=[fault for fault in load.faults if fault in met and fault not in compared],
        timed=timed,
        topologies=[
            _under_load(plan, group, erlangs, compared, timed, not settings.is_foreign(plan)) for plan, group in present
        ],
    )


def _under_load(
    plan: DomainPlan, runs: Sequence[MeasuredRun], erlangs: float | None, compared: Sequence[str],
    timed: Sequence[str], router_tells: bool,
) -> TopologyUnderLoad:  # fmt: skip
    windows = [window for run in runs for window in run.windows]
    names = list(dict.fromkeys(window.fault for window in windows))
    impacts = {name: measure_impact(name, [window for window in windows if window.fault == name]) for name in names}
    of_router = {window.fault for window in windows if window.of_router}
    return TopologyUnderLoad(
        topology=plan.name,
        refused_share=rounded(refused_share(plan, erlangs), 6),
        overloaded=is_overloaded(plan, erlangs),
        has_reserve=has_reserve(plan, erlangs) if router_tells else None,
        average=average_impact(*([impacts[name] for name in names if name in impacts] for names in (compared, timed))),
        faults=[impact for name, impact in impacts.items() if name not in of_router],
        router=[impact for name, impact in impacts.items() if name in of_router],
        figures={each.name: aggregate(values_of(runs, each)) for each in METRICS if not each.is_of_capacity},
    )


def judge_loads(
    settings: FailoverSettings, by_load: Sequence[Sequence[MeasuredRun]], loads: Sequence[LoadScorecard]
) -> list[PairVerdict]:
    """The verdicts on every pair of topologies under every load that does not overload them."""
    compared = {load.load: {each.topology for each in load.topologies if not each.overloaded} for load in loads}
    names = [plan.name for plan in settings.topologies]
    sides = (
        [run for name in names for run in runs if run.plan.name == name and name in compared.get(run.load.name, ())]
        for runs in by_load
    )
    return [verdict for runs in sides if runs for verdict in judge_pairs(runs, settings.margins)]
