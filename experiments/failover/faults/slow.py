"""A predictor takes ten times its service time; its health checks pass."""

from typing import ClassVar

from experiments.failover.faults.base import SwitchedFault
from experiments.theory.fault_scenario import SLOW_FACTOR, Effect


class Slow(SwitchedFault):
    """Service time x 10, in the real predictor."""

    name = "slow"
    what = f"an active predictor takes {SLOW_FACTOR:g} times its service time; its health checks pass"
    effect = Effect.SLOW
    switch: ClassVar[dict[str, object]] = {"service_time_factor": SLOW_FACTOR}
