"""A predictor takes ten times its service time; its health checks pass."""

from experiments.failover.faults.base import FaultContext, SwitchedFault
from experiments.failover.records import FailoverSettings
from experiments.theory.fault_scenario import SLOW_FACTOR, Effect

LEAST_ADDED_S = 1.0
"""A user's own server becomes slower by so much at least, for one that takes 10 ms is not slow at 100."""


class Slow(SwitchedFault):
    """Service time x 10, in the real predictor or before it."""

    name = "slow"
    what = f"an active predictor takes {SLOW_FACTOR:g} times its service time; its health checks pass"
    effect = Effect.SLOW

    def switch(self, context: FaultContext, target: str) -> dict[str, object]:
        """The rig's own takes a factor, a sidecar the time that it adds."""
        if context.deployment.has_sidecar(target):
            return {"added_s": added_s(context.settings.service_time_s)}
        return {"service_time_factor": SLOW_FACTOR}


def added_s(service_time_s: float) -> float:
    """By how much a user's own server becomes slower."""
    return max(LEAST_ADDED_S, (SLOW_FACTOR - 1) * service_time_s)


def slow_factor(settings: FailoverSettings) -> float:
    """So many times its service time a slow predictor takes in that run."""
    if settings.server is None:
        return SLOW_FACTOR
    return 1.0 + added_s(settings.service_time_s) / settings.service_time_s
