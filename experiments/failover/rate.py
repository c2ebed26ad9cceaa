"""The offered rates of a scorecard, each the same for all topologies of a table."""

import math
from collections.abc import Sequence

from experiments.failover.records import DomainPlan
from experiments.failover.slots import MOST_REFUSED
from experiments.theory.erlang import erlangs_at_blocking

MOST_PER_S = 300.0
"""What is offered at most by the runs that go side by side: what generators, routers and predictors carry on two cores
without the generators being late."""

SHARE = 0.5
"""The offered rate's share of what is survived with one predictor down."""

DEMOTION_SHARE = 0.3
"""The offered load's most share of the actives' slots: a standby that a surge has promoted steps back only once the
load has been at half of them or less for the hold-down, which chance hardly lets happen above this."""


SERVICE_TIME = "service time"


def survived_per_s(slots: int, held_s: float) -> float:
    """The rate of random arrivals of which so many slots refuse 1 %, by Erlang's B formula; 0 without slots."""
    return erlangs_at_blocking(slots, MOST_REFUSED) / held_s if slots else 0.0


def choose_rate(
    plans: Sequence[DomainPlan], held_s: float, why_held: str = SERVICE_TIME, most_per_s: float = math.inf
) -> tuple[float, str]:
    """Requests per second, and where the figure comes from: half of what every topology survives with one down.

    The lowest of the topologies' figures is offered to all; none is offered more than lets its standbys step back.
    `held_s`: how long a request holds a slot, and what that is, in words.
    """
    rate_per_s, which = min(each for plan in plans for each in _candidates(plan, held_s))
    reason = f"{which}, the lowest of the topologies in this table ({why_held} {held_s:g} s)"
    if any(len(plan.capacities) == 1 for plan in plans):
        reason += "; a lone predictor has nothing left with one down, so its figure is taken with it up"
    if rate_per_s > most_per_s:
        reason += f"; cut to {most_per_s:g} requests/s, which this machine is taken to carry"
    return round(min(rate_per_s, most_per_s), 2), reason


def n_plus_1_rate(
    plans: Sequence[DomainPlan], held_s: float, at_once: int, why_held: str = SERVICE_TIME
) -> tuple[float, str] | None:
    """Requests per second, and where the figure comes from: the most that any topology survives with one down.

    It is offered to all. None where no topology has a predictor left then.
    """
    left = {plan.name: plan.slots - max(plan.capacities.values()) for plan in plans if len(plan.capacities) > 1}
    if not left or not held_s:
        return None
    name = max(left, key=lambda each: left[each])
    rate_per_s, most_per_s = survived_per_s(left[name], held_s), MOST_PER_S / at_once
    reason = (
        f"the most that {name} survives with its largest predictor down ({left[name]} slots, 1 % refused: "
        f"{rate_per_s:.1f} requests/s; {why_held} {held_s:g} s)"
    )
    if rate_per_s > most_per_s:
        reason += f", cut to what this machine is taken to carry: {MOST_PER_S:g}/s over {at_once} runs side by side"
    return round(min(rate_per_s, most_per_s), 2), reason


def _candidates(plan: DomainPlan, held_s: float) -> list[tuple[float, str]]:
    alone = len(plan.capacities) == 1
    slots = plan.slots - (0 if alone else max(plan.capacities.values()))
    state = "up" if alone else "with its largest predictor down"
    survived = survived_per_s(slots, held_s)
    survives = f"survives {state} ({slots} slots, {survived:.1f} requests/s with 1 % refused)"
    actives = f"of the slots of {plan.name}'s actives, so that a standby promoted for the load can step back"
    return [
        (SHARE * survived, f"{100 * SHARE:g} % of what {plan.name} {survives}"),
        (DEMOTION_SHARE * plan.slots_of(plan.actives) / held_s, f"{100 * DEMOTION_SHARE:g} % {actives}"),
    ]
