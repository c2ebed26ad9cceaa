"""A predictor reads predictions and resets their connections; its health checks pass."""

from experiments.failover.faults.base import FaultContext, SwitchedFault


class Reset(SwitchedFault):
    """Resets (RST) without an answer."""

    name = "reset"
    what = "an active predictor reads predictions and resets their connections (RST); its health checks pass"

    def switch(self, context: FaultContext, target: str) -> dict[str, object]:
        """The same for all."""
        return {"resets": True}
