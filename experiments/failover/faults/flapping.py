"""A predictor's process is killed again and again, as under a supervisor that starts it anew each time."""

from experiments.failover.faults.base import FaultContext, at_share, start_s
from experiments.failover.faults.crash import Crash
from experiments.failover.records import DomainPlan, FailoverSettings

TIMES = 3


class Flapping(Crash):
    """SIGKILL and a start at once, several times."""

    name = "flapping"
    what = f"an active predictor is killed (SIGKILL) and started again at once, {TIMES} times, as soon as it serves"
    effect = None
    lasts = False

    def choose(self, plan: DomainPlan, share: float) -> list[str]:
        """An active one."""
        return [at_share(plan.actives, share)]

    def expected_s(self, settings: FailoverSettings, plan: DomainPlan) -> float:
        """The starts."""
        return TIMES * start_s(settings)

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Kills the process for the first time."""
        context.record("killed", "+".join(targets))
        super().inject(context, targets)

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Starts it, and kills it again once it serves, until it has been killed so often; then it serves on."""
        super().clear(context, targets)
        for _ in range(TIMES - 1):
            self.inject(context, targets)
            super().clear(context, targets)
