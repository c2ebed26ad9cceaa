"""A whole region is lost: every predictor in it is killed at once."""

import random

from experiments.failover.faults.crash import Crash
from experiments.failover.records import DomainPlan


class Region(Crash):
    """SIGKILL of all predictors of one region."""

    name = "region"
    what = "every predictor of a random active one's region is killed, and started again after the operator's delay"

    def applies_to(self, plan: DomainPlan) -> str | None:
        """Only where an active predictor has a region."""
        return None if _exposed(plan) else "no active predictor's entry names a region"

    def choose(self, plan: DomainPlan, rng: random.Random) -> list[str]:
        """A random active predictor and all that share its region."""
        lost = plan.regions[rng.choice(_exposed(plan))]
        return [name for name, region in plan.regions.items() if region == lost]


def _exposed(plan: DomainPlan) -> list[str]:
    return [name for name in plan.actives if name in plan.regions]
