"""A predictor stops answering, with its connections open."""

from experiments.failover.faults.base import Fault, FaultContext


class Hang(Fault):
    """SIGSTOP, and SIGCONT to clear it."""

    name = "hang"
    what = "an active predictor's process is frozen (SIGSTOP): it takes connections and answers nothing, until SIGCONT"

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Freezes the processes."""
        for name in targets:
            context.deployment.predictor(name).freeze()

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Lets them go on."""
        for name in targets:
            context.deployment.predictor(name).thaw()
