"""The offered rate triples for a while."""

from experiments.failover.faults.base import FaultContext, LoadFault
from experiments.failover.records import SURGE

FACTOR = 3


class Surge(LoadFault):
    """Twice the steady load on top of it."""

    name = "surge"
    what = f"the offered rate is {FACTOR} times as high for the length of the operator's delay"
    kind = SURGE

    def rate(self, context: FaultContext) -> float:
        """What makes the steady load so many times as much."""
        return (FACTOR - 1) * context.rate_per_s
