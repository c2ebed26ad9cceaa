"""The router is upgraded: another process takes over from the one that serves."""

from experiments.failover.faults.base import FaultContext, RouterFault
from experiments.options import ENGINES
from experiments.theory.fault_scenario import Effect


class RouterRestart(RouterFault):
    """SIGHUP to the router's supervisor."""

    name = "router restart"
    what = "the router is upgraded (SIGHUP to its supervisor): a new process takes over from the one that serves"
    what_behind_others = "the router is restarted as its operator would, by its own reload where it has one"

    def effect_behind(self, router: str) -> Effect | None:
        """None of the requests meets it, whichever engine carries them; of other routers it is not known."""
        return Effect.NONE if router in ENGINES else None

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Orders it."""
        context.deployment.router.upgrade()


class RouterStopAndStart(RouterFault):
    """What `router restart` was where no supervisor held the router's sockets: in the records of older runs alone."""

    name = RouterRestart.name
    what = "the router is stopped politely (SIGTERM) and started again at once"
