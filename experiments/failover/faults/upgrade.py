"""Planned work: every predictor is drained, stopped, started and put back, one after the other."""

from experiments.failover.faults.base import Fault, FaultContext, start_s
from experiments.failover.records import DomainPlan, FailoverSettings
from experiments.theory.fault_scenario import Effect

PER_PREDICTOR_S = 2.5
"""About what each takes beside its start."""


class Upgrade(Fault):
    """Drain, stop, start, ready, of each in turn."""

    name = "upgrade"
    what = "every predictor in turn is drained, stopped, started and put back (ready), as a careful operator upgrades"
    what_behind_others = "every predictor in turn is stopped politely and started, without a drain"
    effect = Effect.UPGRADE
    planned = True
    needs = ("stop", "start")
    lasts = False

    def choose(self, plan: DomainPlan, share: float) -> list[str]:
        """All that run, in file order."""
        return [name for name in plan.capacities if name not in plan.cold]

    def expected_s(self, settings: FailoverSettings, plan: DomainPlan) -> float:
        """One after the other."""
        return len(plan.capacities) * (PER_PREDICTOR_S + start_s(settings))

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Upgrades one after the other."""
        for name in targets:
            context.record("drain", name)
            context.deployment.router.take_out(name, context.stop)
            context.deployment.expect_exit(name).stop()
            context.deployment.use_next(name)
            context.deployment.start_predictors([name], context.stop)
            context.deployment.router.take_back(name, context.stop)
            context.record("ready", name)
