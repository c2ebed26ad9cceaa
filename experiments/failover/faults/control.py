"""No fault: what is lost then is the rig's own."""

import random

from experiments.failover.faults.base import Fault
from experiments.failover.records import DomainPlan


class Control(Fault):
    """The control."""

    name = "none"
    what = "nothing is done: the control"
    is_control = True

    def choose(self, plan: DomainPlan, rng: random.Random) -> list[str]:
        """Nobody."""
        return []
