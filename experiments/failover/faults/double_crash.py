"""Two predictors' processes are killed at the same moment."""

from experiments.failover.faults.base import at_share
from experiments.failover.faults.crash import Crash
from experiments.failover.records import DomainPlan


class DoubleCrash(Crash):
    """SIGKILL of two actives: more than one standby makes up for."""

    name = "double crash"
    what = "two active predictors are killed at once (SIGKILL), and started again after the operator's delay"

    def applies_to(self, plan: DomainPlan) -> str | None:
        """Only where there are two actives."""
        return None if len(plan.actives) > 1 else "it has fewer than two active predictors"

    def choose(self, plan: DomainPlan, share: float) -> list[str]:
        """An active one, and the next of them in file order."""
        first = at_share(plan.actives, share)
        return [first, plan.actives[(plan.actives.index(first) + 1) % len(plan.actives)]]
