"""No fault: what is lost then is the deployment's own."""

from experiments.failover.faults.base import Fault
from experiments.theory.fault_scenario import Effect


class Control(Fault):
    """The control."""

    name = "none"
    what = "nothing is done: the control"
    is_control = True
    effect = Effect.NONE
