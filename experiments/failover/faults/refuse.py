"""A predictor ends by SIGTERM, without the router being told: its port is closed."""

from experiments.failover.faults.base import Fault, FaultContext, start_s
from experiments.failover.records import DomainPlan, FailoverSettings
from experiments.theory.fault_scenario import Effect


class Refuse(Fault):
    """SIGTERM: what is in flight is answered, new connections are refused."""

    name = "refuse"
    what = "an active predictor ends without the router being told (SIGTERM): its port is closed until the next start"
    effect = Effect.CLOSE
    needs = ("stop", "start")

    def expected_s(self, settings: FailoverSettings, plan: DomainPlan) -> float:
        """The operator's delay, and the start."""
        return settings.repair_after_s + start_s(settings)

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Sends SIGTERM to the processes."""
        for name in targets:
            context.deployment.expect_exit(name).terminate()

    def why_missed(self, context: FaultContext, targets: list[str]) -> str:
        """Their ports must refuse; what a polite stop leaves behind is killed after its grace."""
        for name in targets:
            if context.deployment.why_not_refused(name):
                context.deployment.expect_exit(name).stop()
                if why := context.deployment.why_not_refused(name):
                    return why
        return ""

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Waits for their end, and starts them again."""
        for name in targets:
            context.deployment.expect_exit(name).stop()
        context.deployment.start_predictors(targets, context.stop)
