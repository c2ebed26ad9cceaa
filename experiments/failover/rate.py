"""The offered rates of a scorecard, each the same for all topologies of a table."""

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


def survived_per_s(slots: int, service_time_s: float) -> float:
    """The rate of random arrivals of which so many slots refuse 1 %, by Erlang's B formula; 0 without slots."""
    return erlangs_at_blocking(slots, MOST_REFUSED) / service_time_s if slots else 0.0


def choose_rate(plans: Sequence[DomainPlan], service_time_s: float) -> tuple[float, str]:
    """Requests per second, and where the figure comes from: half of what every topology survives with one down.

    The lowest of the topologies' figures is offered to all; none is offered more than lets its standbys step back.
    """
    rate_per_s, which = min(each for plan in plans for each in _candidates(plan, service_time_s))
    reason = f"{which}, the lowest of the topologies in this table (service time {service_time_s:g} s)"
    if any(len(plan.capacities) == 1 for plan in plans):
        reason += "; a lone predictor has nothing left with one down, so its figure is taken with it up"
    return round(rate_per_s, 2), reason


def n_plus_1_rate(plans: Sequence[DomainPlan], service_time_s: float, at_once: int) -> tuple[float, str] | None:
    """Requests per second, and where the figure comes from: the most that any topology survives with one down.

    It is offered to all. None where no topology has a predictor left then.
    """
    left = {plan.name: plan.slots - max(plan.capacities.values()) for plan in plans if len(plan.capacities) > 1}
    if not left or not service_time_s:
        return None
    name = max(left, key=lambda each: left[each])
    rate_per_s, most_per_s = survived_per_s(left[name], service_time_s), MOST_PER_S / at_once
    reason = (
        f"the most that {name} survives with its largest predictor down ({left[name]} slots, 1 % refused: "
        f"{rate_per_s:.1f} requests/s; service time {service_time_s:g} s)"
    )
    if rate_per_s > most_per_s:
        reason += f", cut to what this machine is taken to carry: {MOST_PER_S:g}/s over {at_once} runs side by side"
    return round(min(rate_per_s, most_per_s), 2), reason


def _candidates(plan: DomainPlan, service_time_s: float) -> list[tuple[float, str]]:
    alone = len(plan.capacities) == 1
    slots = plan.slots - (0 if alone else max(plan.capacities.values()))
    state = "up" if alone else "with its largest predictor down"
    survived = survived_per_s(slots, service_time_s)
    survives = f"survives {state} ({slots} slots, {survived:.1f} requests/s with 1 % refused)"
    actives = f"of the slots of {plan.name}'s actives, so that a standby promoted for the load can step back"
    return [
        (SHARE * survived, f"{100 * SHARE:g} % of what {plan.name} {survives}"),
        (DEMOTION_SHARE * plan.slots_of(plan.actives) / service_time_s, f"{100 * DEMOTION_SHARE:g} % {actives}"),
    ]
