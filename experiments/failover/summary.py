"""What a failover run comes to, computed from its records alone: figures of each topology, classes of summary.json."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.failover.faults import FAULTS
from experiments.failover.metrics import METRIC, MeasuredRun
from experiments.failover.records import DomainPlan, FailoverSettings, FaultRun, Step
from experiments.failover.window_metrics import WindowFigures, measure_window
from experiments.failover.windows import windows_of
from experiments.results.statistics import RunStats, aggregate


@dataclass(frozen=True)
class TopologyScorecard:
    """One topology: its figures over the repeats, and every window."""

    topology: str
    """The topology's name."""
    slots: int
    """The most requests in flight with every predictor in rotation, standbys included."""
    roles: dict[str, str]
    """Predictor -> active or standby, by plan."""
    largest_domain: list[str]
    """The predictors that the out-of-region capacity does without."""
    figures: dict[str, RunStats | None]
    """The scorecard."""
    windows: list[WindowFigures]
    """One entry per fault and run."""
    skipped: dict[str, str]
    """Fault -> why it was skipped."""

    @property
    def faults(self) -> list[str]:
        """The faults that it has windows of, in the order of the runs."""
        return list(dict.fromkeys(window.fault for window in self.windows))

    def valid_windows(self, fault: str) -> list[WindowFigures]:
        """The fault's windows, over the repeats, in which the generator was on time."""
        return [window for window in self.windows if window.fault == fault and window.valid]


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim, what became of it, and the figures."""

    claim: str
    """What the post says."""
    figure: str
    """The figure of the scorecard that it is judged by."""
    verdict: str
    """Holds, does not hold or not decided."""
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
    verdicts: list[ClaimVerdict]
    """The post's claims and what became of them."""
    definitions: dict[str, str]
    """Figure -> its definition in one sentence."""


def measure_runs(settings: FailoverSettings, runs: Sequence[FaultRun]) -> list[MeasuredRun]:
    """The figures of every run's windows, and which of its faults are pooled."""
    plans = {plan.name: plan for plan in settings.topologies}
    measured = [(run, [measure_window(records) for records in windows_of(run, settings)]) for run in runs]
    pooled = {
        repeat: _pooled_faults(windows for run, windows in measured if run.run.repeat == repeat)
        for repeat in {run.run.repeat for run in runs}
    }
    has_capacity = settings.capacity_spawn_rate_per_s > 0
    return [
        MeasuredRun(run, plans[run.run.topology], has_capacity, windows, pooled[run.run.repeat])
        for run, windows in measured
    ]


def _pooled_faults(runs: Iterable[Sequence[WindowFigures]]) -> frozenset[str]:
    """The unplanned faults of which every one of a repeat's runs has a valid window."""
    common = frozenset.intersection(*(frozenset(window.fault for window in run if window.valid) for run in runs))
    return frozenset(fault for fault in common if not FAULTS[fault].planned and not FAULTS[fault].is_control)


def score_topologies(settings: FailoverSettings, runs: Sequence[MeasuredRun]) -> list[TopologyScorecard]:
    """The scorecard of every topology with a finished run, in the settings' order."""
    groups = [(plan, [run for run in runs if run.plan.name == plan.name]) for plan in settings.topologies]
    return [_score(plan, group) for plan, group in groups if group]


def _score(plan: DomainPlan, runs: Sequence[MeasuredRun]) -> TopologyScorecard:
    values = {name: [METRIC[name].compute(run) for run in runs] for name in METRIC}
    return TopologyScorecard(
        topology=plan.name,
        slots=plan.slots,
        roles=plan.roles,
        largest_domain=plan.largest_domain(),
        figures={name: aggregate(value for value in each if value is not None) for name, each in values.items()},
        windows=[window for run in runs for window in run.windows],
        skipped={step.fault: step.target for run in runs for step in run.run.actions if step.action == Step.SKIPPED},
    )
