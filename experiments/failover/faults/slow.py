"""A predictor takes ten times its service time; its health checks pass."""

from typing import ClassVar

from experiments.failover.faults.base import SwitchedFault

FACTOR = 10.0


class Slow(SwitchedFault):
    """Service time x 10, in the real predictor."""

    name = "slow"
    what = f"an active predictor takes {FACTOR:g} times its service time; its health checks pass"
    switch: ClassVar[dict[str, object]] = {"service_time_factor": FACTOR}
