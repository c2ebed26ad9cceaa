"""The router's process is killed; the spare that its supervisor has takes over."""

from experiments.failover.faults.base import FaultContext, RouterFault
from experiments.options import DEFAULT_ENGINE, HAPROXY
from experiments.theory.fault_scenario import Effect


class RouterCrash(RouterFault):
    """SIGKILL of the process that serves."""

    name = "router crash"
    what = "the router's process that serves is killed (SIGKILL): the spare of its supervisor takes over"
    what_behind_others = "all processes of the router are killed (SIGKILL), and it is started again at once"

    def effect_behind(self, router: str) -> Effect | None:
        """What that process carries is lost; HAProxy, which carries the requests itself, goes on without it."""
        return {DEFAULT_ENGINE: Effect.ROUTER_KILL, HAPROXY: Effect.NONE}.get(router)

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Kills it."""
        context.deployment.router.crash()
