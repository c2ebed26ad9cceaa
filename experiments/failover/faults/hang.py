"""A predictor stops answering, with its connections open."""

from experiments.failover.faults.base import Fault, FaultContext
from experiments.theory.fault_scenario import Effect


class Hang(Fault):
    """SIGSTOP, and SIGCONT to clear it."""

    name = "hang"
    what = "an active predictor's process is frozen (SIGSTOP): it takes connections and answers nothing, until SIGCONT"
    effect = Effect.FREEZE

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Freezes the processes."""
        for name in targets:
            context.deployment.predictor(name).freeze()

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Lets them go on."""
        for name in targets:
            context.deployment.predictor(name).thaw()
