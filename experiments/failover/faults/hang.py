"""A predictor stops answering, with its connections open."""

from experiments.failover.faults.base import Fault, FaultContext
from experiments.theory.fault_scenario import Effect

LONGEST_LOOK_S = 1.0
"""For so long a health check must get no answer, no longer than it lasts."""


class Hang(Fault):
    """SIGSTOP, and SIGCONT to clear it."""

    name = "hang"
    what = "an active predictor's process is frozen (SIGSTOP): it takes connections and answers nothing, until SIGCONT"
    effect = Effect.FREEZE
    needs = ("hang", "resume")

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Freezes the processes."""
        for name in targets:
            context.deployment.predictor(name).freeze()

    def why_missed(self, context: FaultContext, targets: list[str]) -> str:
        """Their health checks must be silent."""
        for_s = min(LONGEST_LOOK_S, context.settings.repair_after_s)
        return next(filter(None, (context.deployment.why_not_silent(name, for_s) for name in targets)), "")

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Lets them go on."""
        for name in targets:
            context.deployment.predictor(name).thaw()
