"""The network between the router and a host fails: all there lives, and nothing gets through."""

from experiments.failover.faults.base import FaultContext
from experiments.failover.faults.host import Host
from experiments.failover.records import DomainPlan, FailoverSettings


class BlackHole(Host):
    """The host's link is cut: packets vanish, its processes live."""

    name = "black hole"
    what = "the link to the host of a random active predictor is cut: packets vanish, its processes live"
    effect = None

    def expected_s(self, settings: FailoverSettings, plan: DomainPlan) -> float:
        """The operator's delay."""
        return settings.repair_after_s

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Cuts the link."""
        context.deployment.hosts.cut(targets)

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Mends it."""
        context.deployment.hosts.mend(targets)
