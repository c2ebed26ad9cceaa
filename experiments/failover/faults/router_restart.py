"""The router itself is restarted: no topology has a second one."""

from experiments.failover.faults.base import ROUTER, Fault, FaultContext
from experiments.failover.records import DomainPlan


class RouterRestart(Fault):
    """SIGTERM and a start at once."""

    name = "router restart"
    what = "the router is stopped politely (SIGTERM) and started again at once"
    lasts = False

    def choose(self, plan: DomainPlan, share: float) -> list[str]:
        """The router."""
        return [ROUTER]

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Stops it, and starts it again."""
        context.deployment.stop_router()
        context.record("router gone", ROUTER)
        context.deployment.start_router(context.stop)
