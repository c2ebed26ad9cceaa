"""Oversize bodies among normal requests: the post's "1 GB image"."""

from experiments.failover.faults.base import FaultContext, LoadFault
from experiments.failover.records import OVERSIZE

RATE_PER_S = 2.0


class BigInput(LoadFault):
    """Requests with a body of 1 GiB, far over the router's limit, beside the steady load."""

    name = "big input"
    what = f"{RATE_PER_S:g} requests/s with a body of 1 GiB come beside the normal ones, for the operator's delay"
    kind = OVERSIZE

    def rate(self, context: FaultContext) -> float:
        """Few: each is large."""
        return RATE_PER_S
