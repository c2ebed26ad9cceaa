"""A whole region is lost: every predictor in it is killed at once."""

from experiments.failover.faults.base import at_share
from experiments.failover.faults.crash import Crash
from experiments.failover.records import DomainPlan


class Region(Crash):
    """SIGKILL of all predictors of one region."""

    name = "region"
    what = "every predictor of a random active one's region is killed, and started again after the operator's delay"

    def applies_to(self, plan: DomainPlan) -> str | None:
        """Only where an active predictor has a region."""
        return None if _exposed(plan) else "no active predictor's entry names a region"

    def choose(self, plan: DomainPlan, share: float) -> list[str]:
        """An active predictor and all that share its region, but cold standbys: none runs there yet."""
        lost = plan.regions[at_share(_exposed(plan), share)]
        return [name for name, region in plan.regions.items() if region == lost and name not in plan.cold]


def _exposed(plan: DomainPlan) -> list[str]:
    return [name for name in plan.actives if name in plan.regions]
