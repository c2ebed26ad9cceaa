"""The router's process is killed; the spare that its supervisor has takes over."""

from experiments.failover.faults.base import FaultContext, RouterFault
from experiments.failover.records import FailoverSettings
from experiments.options import DEFAULT_ENGINE
from experiments.theory.fault_scenario import Effect


class RouterCrash(RouterFault):
    """SIGKILL of the process that serves."""

    name = "router crash"
    what = "the router's process that serves is killed (SIGKILL): the spare of its supervisor takes over"

    def effect_in(self, settings: FailoverSettings) -> Effect | None:
        """What that process carries is lost; HAProxy, which carries the requests itself, goes on without it."""
        return Effect.ROUTER_KILL if settings.engine == DEFAULT_ENGINE else Effect.NONE

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Kills it."""
        context.deployment.router.crash()
