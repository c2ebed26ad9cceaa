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

    def clear(self, context: FaultContext, targets: list[str]) -> None:
        """Switches it off, and puts the predictor back: a router that suspects it gives it nothing to prove itself."""
        super().clear(context, targets)
        if len(context.plan.capacities) > 1:
            for name in targets:
                context.deployment.order(name, "drain")
                context.deployment.order(name, "ready")
