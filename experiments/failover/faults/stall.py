"""A predictor answers no prediction; its health checks pass."""

from experiments.failover.faults.base import FaultContext, SwitchedFault
from experiments.theory.fault_scenario import Effect


class Stall(SwitchedFault):
    """Predictions without an answer: connections stay open, health is well."""

    name = "stall"
    what = "an active predictor takes predictions and answers none; its health checks pass"
    effect = Effect.STALL

    def switch(self, context: FaultContext, target: str) -> dict[str, object]:
        """The same for all."""
        return {"stalls": True}
