"""The offered rate of a scorecard: one for all topologies of a table, low enough that each could survive a loss."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.scorecard.records import DomainPlan
from experiments.theory import erlangs_at_blocking

BLOCKING = 0.01
"""A topology "survives" the rate at which it refuses this share of its requests."""

SHARE = 0.5
"""The offered rate's share of what is survived with one predictor down."""


@dataclass(frozen=True)
class OfferedRate:
    """Requests per second, and where the figure comes from."""

    rate_per_s: float
    reason: str


def survived_per_s(slots: int, service_time_s: float) -> float:
    """The rate of random arrivals of which so many slots refuse 1 %, by Erlang's B formula; 0 without slots."""
    return erlangs_at_blocking(slots, BLOCKING) / service_time_s if slots else 0.0


def choose_rate(plans: Sequence[DomainPlan], service_time_s: float) -> OfferedRate:
    """Half of what every topology survives with its largest predictor down; with a lone one up, half of that.

    The lowest of the topologies' figures is offered to all.
    """
    candidates = [_candidate(plan, service_time_s) for plan in plans]
    rate_per_s, which = min(candidates)
    reason = (
        f"{SHARE:.0%} of what {which}, the lowest of the topologies in this table (1 % refused by Erlang's B formula, "
        f"service time {service_time_s:g} s)"
    )
    if any(len(plan.capacities) == 1 for plan in plans):
        reason += "; a lone predictor has nothing left with one down, so its figure is taken with it up"
    return OfferedRate(round(rate_per_s, 2), reason)


def _candidate(plan: DomainPlan, service_time_s: float) -> tuple[float, str]:
    """The topology's rate and its description."""
    alone = len(plan.capacities) == 1
    slots = plan.slots - (0 if alone else max(plan.capacities.values()))
    state = "up" if alone else "with its largest predictor down"
    survived = survived_per_s(slots, service_time_s)
    return SHARE * survived, f"{plan.name} survives {state} ({slots} slots, {survived:.1f} requests/s)"
