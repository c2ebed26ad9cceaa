"""A predictor's answers end in the middle of their bodies; its health checks pass."""

from experiments.failover.faults.base import FaultContext, SwitchedFault


class Truncated(SwitchedFault):
    """A head that declares the whole, half of the body, and the connection's end."""

    name = "truncated"
    what = "an active predictor closes the connection after half of each answer's body; its health checks pass"

    def switch(self, context: FaultContext, target: str) -> dict[str, object]:
        """The same for all."""
        return {"truncates": True}
