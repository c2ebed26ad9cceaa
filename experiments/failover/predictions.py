"""What each fault costs in theory: simulated from the run's settings and what its records say about the machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.failover.faults import fault_of
from experiments.failover.faults.base import Fault, RouterFault
from experiments.failover.faults.slow import slow_factor
from experiments.failover.faults.surge import FACTOR
from experiments.failover.records import CALM, SURGE, DomainPlan, FailoverSettings, OfferedLoad
from experiments.failover.window_metrics import DELAYED_S
from experiments.failover.windows import WindowRecords
from experiments.results.statistics import percentile
from experiments.theory.fault_scenario import Effect, FaultScenario
from experiments.theory.fault_simulation import simulate_fault
from experiments.theory.first_failure import Spread, spread_of
from experiments.theory.router_model import Role

REPLICATIONS = 60
"""How often a fault is simulated for one cell; its costs are then drawn as often as the cell has windows."""

CHOICES = 60
DRAWS = 4_000
SEED = 1917

LEAST_DEADLINE_S = 10.0
"""The routers of an experiment have this deadline, or four service times."""


@dataclass(frozen=True)
class CellPrediction:
    """What one fault costs one topology under one load, by the simulation: sums over so many windows."""

    lost: Spread
    """Requests without a good answer."""
    delayed: Spread
    """Good answers later than the service time and DELAYED_S."""
    windows: int
    """Over how many windows each sum goes."""


def predict_cell(
    settings: FailoverSettings,
    plan: DomainPlan,
    load: OfferedLoad,
    fault: str,
    windows: int,
    start_s: Sequence[float],
    answer_s: float | None = None,
) -> CellPrediction | None:
    """Returns what the fault costs in `windows` windows together, by simulation; nothing is fitted.

    Args:
        settings: of the run.
        plan: the topology.
        load: under which the fault strikes.
        fault: its name.
        windows: how many windows of it there are, at least one.
        start_s: how long starts of predictors took in this run, until they served.
        answer_s: how long a good answer took (`undisturbed_answer_s`); the service time unless given.

    Returns:
        None where there is nothing to predict: theory does not apply to the server or does not know what the fault
        does behind that router, the fault does not apply, a prediction takes no time, or no start was measured where
        predictors are started.
    """
    injected = fault_of(fault, settings)
    known = injected.effect_behind(settings.router_of(plan)) is not None and not settings.why_no_theory
    if not known or injected.applies_to(plan) is not None:
        return None
    try:
        scenario = _scenario(settings, plan, load, injected, start_s, answer_s or settings.service_time_s)
    except ValueError:
        return None
    costs = np.array(simulate_fault(scenario, REPLICATIONS, SEED))
    drawn = np.random.default_rng(SEED).integers(REPLICATIONS, size=(DRAWS, windows))
    lost, delayed = costs[drawn].sum(axis=1).T
    return CellPrediction(spread_of(lost), spread_of(delayed), windows)


def undisturbed_answer_s(records: Sequence[WindowRecords]) -> float | None:
    """Returns the median time to a good answer in these windows, in seconds: how long the machine has a slot held."""
    return percentile([request.latency_s for window in records for request in window.answered], 50)


def _scenario(
    settings: FailoverSettings,
    plan: DomainPlan,
    load: OfferedLoad,
    fault: Fault,
    start_s: Sequence[float],
    answer_s: float,
) -> FaultScenario:
    return FaultScenario(
        predictors=tuple((name, slots, _role(plan, name)) for name, slots in plan.capacities.items()),
        rate_per_s=load.rate_per_s,
        pacing_s=settings.pacing_s,
        service_time_s=answer_s,
        late_after_s=settings.service_time_s + DELAYED_S,
        effect=fault.effect_behind(settings.router_of(plan)) or Effect.NONE,
        targets=_targets(fault, plan),
        rate_factor=FACTOR if fault.kind == SURGE else 1.0,
        repair_after_s=settings.repair_after_s,
        window_s=settings.window_s,
        until_planned=load.name == CALM,
        hold_down_s=settings.hold_down_s,
        deadline_s=max(LEAST_DEADLINE_S, 4 * settings.service_time_s),
        start_s=tuple(start_s),
        resend=settings.resend,
        slow_factor=slow_factor(settings),
    )


def _role(plan: DomainPlan, name: str) -> Role:
    return Role.COLD if name in plan.cold else Role(plan.roles[name])


def _targets(fault: Fault, plan: DomainPlan) -> tuple[tuple[str, ...], ...]:
    """Whom the fault may hit, each as likely."""
    if fault.effect is Effect.NONE or isinstance(fault, RouterFault):
        return ()
    return tuple(tuple(fault.choose(plan, place / CHOICES)) for place in range(CHOICES))
