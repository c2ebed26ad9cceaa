"""The router is upgraded: another process takes over from the one that serves."""

from experiments.failover.faults.base import FaultContext, RouterFault
from experiments.failover.records import FailoverSettings
from experiments.theory.fault_scenario import Effect


class RouterRestart(RouterFault):
    """SIGHUP to the router's supervisor."""

    name = "router restart"
    what = "the router is upgraded (SIGHUP to its supervisor): a new process takes over from the one that serves"

    def effect_in(self, settings: FailoverSettings) -> Effect | None:
        """None of the requests meets it, whichever engine carries them."""
        return Effect.NONE

    def inject(self, context: FaultContext, targets: list[str]) -> None:
        """Orders it."""
        context.deployment.router.upgrade()


class RouterStopAndStart(RouterFault):
    """What `router restart` was where no supervisor held the router's sockets: in the records of older runs alone."""

    name = RouterRestart.name
    what = "the router is stopped politely (SIGTERM) and started again at once"
