"""More requests come than all slots together can serve."""

from experiments.failover.faults.base import FaultContext, LoadFault
from experiments.failover.records import SATURATION

FACTOR = 2


class Saturation(LoadFault):
    """Load on top of the steady one, by the slots of the topology: however well it is shared out, some is refused."""

    name = "saturation"
    what = f"{FACTOR} times what all slots together can serve comes on top of the load, for the operator's delay"
    kind = SATURATION
    effect = None

    def rate(self, context: FaultContext) -> float:
        """So many times what all slots, those of standbys included, can serve."""
        return FACTOR * context.plan.slots / context.settings.holding_time_s
