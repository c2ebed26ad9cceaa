"""A whole host is lost: all that runs on it ends, and nobody says so, for its network is gone with it."""

from typing import ClassVar

from experiments.failover.faults.base import Fault, FaultContext, at_share, start_s
from experiments.failover.records import DomainPlan, FailoverSettings
from experiments.theory.fault_scenario import Effect


class Host(Fault):
    """The host's link is cut and its processes are killed, as by a power cut: no connection is refused or reset."""

    name = "host"
    what = "the host of a random active predictor vanishes with all on it: nothing is refused or reset, all is silence"
    effect: ClassVar[Effect | None] = Effect.VANISH
    on_hosts = True

    def applies_to(self, plan: DomainPlan) -> str | None:
        """Only where an active predictor is on a host that the router is not on."""
        return None if _exposed(plan) else "no active predictor's entry names a host other than the router's"

    def choose(self, plan: DomainPlan, share: float) -> list[str]:
        """An active predictor and all on its host, but cold standbys: none runs there yet."""
        lost = plan.hosts[at_share(_exposed(plan), share)]
        return [name for name, host in plan.hosts.items() if host == lost and name not in plan.cold]

    def expected_s(self, settings: FailoverSettings, plan: DomainPlan) -> float:
        """The operator's delay, and the start."""
        return settings.repair_after_s + start_s(settings)

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Cuts the link first, so that nothing gets out of the processes' end."""
        context.deployment.hosts.cut(targets)
        context.deployment.kill(targets)

    def why_missed(self, context: FaultContext, targets: list[str]) -> str:
        """Their ports must neither take a connection nor refuse it."""
        return next(filter(None, map(context.deployment.why_not_gone, targets)), "")

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Mends the link, and starts them again."""
        context.deployment.hosts.mend(targets)
        context.deployment.start_predictors(targets, context.stop)


def _exposed(plan: DomainPlan) -> list[str]:
    return [name for name in plan.actives if name in plan.hosts]
