"""A predictor answers every request with 500; its health checks pass."""

from experiments.failover.faults.base import FaultContext, SwitchedFault
from experiments.theory.fault_scenario import Effect


class Error(SwitchedFault):
    """Answers of 500, in the real predictor or before it."""

    name = "error"
    what = "an active predictor answers every request with 500; its health checks pass"
    effect = Effect.FAIL

    def switch(self, context: FaultContext, target: str) -> dict[str, object]:
        """The same for all."""
        return {"fails": True}
