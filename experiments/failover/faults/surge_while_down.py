"""A predictor's process is killed, and while it is down the offered rate triples."""

from experiments.failover.faults.base import FaultContext, at_share
from experiments.failover.faults.crash import Crash
from experiments.failover.faults.surge import FACTOR, Surge
from experiments.failover.records import SURGE, DomainPlan, FailoverSettings


class SurgeWhileDown(Crash):
    """SIGKILL; once the router has taken the predictor out, twice the steady load on top of it."""

    name = "surge while down"
    what = f"an active predictor is killed; once it is out, the rate is {FACTOR} times as high for the operator's delay"
    kind = SURGE
    lasts = False
    surge = Surge()

    def choose(self, plan: DomainPlan, share: float) -> list[str]:
        """An active one."""
        return [at_share(plan.actives, share)]

    def expected_s(self, settings: FailoverSettings, plan: DomainPlan) -> float:
        """As of a crash, and until the predictor is out."""
        return super().expected_s(settings, plan) + 1.0

    def prepare(self, context: FaultContext) -> None:
        """Starts the surge's users."""
        self.surge.prepare(context)

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Kills the process, lets the surge's users send once it is out, and waits until they have sent."""
        super().inject(context, targets)
        context.deployment.router.wait_until_out(targets[0], context.stop)
        context.record("surge", targets[0])
        self.surge.inject(context, targets)
        context.stop.wait(context.settings.repair_after_s, context.deployment.require_alive)

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Ends the surge's users, and starts the predictor again."""
        self.surge.clear(context, targets)
        super().clear(context, targets)
