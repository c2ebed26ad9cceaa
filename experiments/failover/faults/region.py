"""A whole region is lost: every predictor in it is killed at once."""

import random

from experiments.failover.faults.base import SkippedError
from experiments.failover.faults.crash import Crash
from experiments.failover.records import DomainPlan


class Region(Crash):
    """SIGKILL of all predictors of one region."""

    name = "region"
    what = "every predictor of a random active one's region is killed, and started again after the operator's delay"

    def choose(self, plan: DomainPlan, rng: random.Random) -> list[str]:
        """A random active predictor and all that share its region."""
        exposed = [name for name in plan.actives if name in plan.regions]
        if not exposed:
            raise SkippedError("no active predictor's entry names a region")
        lost = plan.regions[rng.choice(exposed)]
        return [name for name, region in plan.regions.items() if region == lost]
