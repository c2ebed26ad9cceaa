"""A predictor's process is killed; its connections break."""

from typing import ClassVar

from experiments.failover.faults.base import Fault, FaultContext, start_s
from experiments.failover.records import DomainPlan, FailoverSettings
from experiments.theory.fault_scenario import Effect


class Crash(Fault):
    """SIGKILL."""

    name = "crash"
    what = "an active predictor's process is killed (SIGKILL) and started again after the operator's delay"
    effect: ClassVar[Effect | None] = Effect.KILL
    needs = ("crash", "start")

    def expected_s(self, settings: FailoverSettings, plan: DomainPlan) -> float:
        """The operator's delay, and the start."""
        return settings.repair_after_s + start_s(settings)

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Kills the processes."""
        context.deployment.kill(targets)

    def why_missed(self, context: FaultContext, targets: list[str]) -> str:
        """Their ports must refuse."""
        return next(filter(None, map(context.deployment.why_not_refused, targets)), "")

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Starts them again."""
        context.deployment.start_predictors(targets, context.stop)
