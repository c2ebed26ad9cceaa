"""A predictor answers every request with 500; its health checks pass."""

from typing import ClassVar

from experiments.failover.faults.base import SwitchedFault
from experiments.theory.fault_scenario import Effect


class Error(SwitchedFault):
    """Answers of 500, in the real predictor."""

    name = "error"
    what = "an active predictor answers every request with 500; its health checks pass"
    effect = Effect.FAIL
    switch: ClassVar[dict[str, object]] = {"fails": True}
