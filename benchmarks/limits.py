"""How far each part carries a layout: cores by number of predictors, from measured CPU times. Measures nothing."""

from bisect import bisect_right
from dataclasses import dataclass

from experiments.theory.erlang import erlangs_at_blocking

CAPACITY = 10
REFUSED = 0.01
MEAN_WAIT_S = 3.0
"""Of the locustfile's users, who wait 1 to 5 s."""

PROBES_PER_S = 2.0
"""Health checks of each predictor."""

SHOWN_PREDICTORS = (3, 30, 300, 3_000)
MAX_PREDICTORS = 10_000


@dataclass(frozen=True)
class Costs:
    """CPU seconds of one core: per request of each part, and per health check of the router."""

    router_s: float
    engine_s: float
    swarm_s: float
    predictor_s: float
    probe_s: float


@dataclass(frozen=True)
class Layout:
    """So many predictors at the rate that they carry with 1 % refused, and the cores that each part needs for it."""

    predictors: int
    rate_per_s: float
    users: int
    router_cores: float
    engine_cores: float
    swarm_cores: float
    predictor_cores: float
    """All predictors together, without the model's own time."""


def layout(predictors: int, costs: Costs, service_time_s: float) -> Layout:
    """Returns what a pool of predictors takes: rate by Erlang's B formula, cores in proportion to the rate."""
    rate_per_s = erlangs_at_blocking(CAPACITY * predictors, REFUSED) / service_time_s
    return Layout(
        predictors=predictors,
        rate_per_s=rate_per_s,
        users=round(rate_per_s * (MEAN_WAIT_S + service_time_s)),
        router_cores=rate_per_s * costs.router_s + predictors * PROBES_PER_S * costs.probe_s,
        engine_cores=rate_per_s * costs.engine_s,
        swarm_cores=rate_per_s * costs.swarm_s,
        predictor_cores=rate_per_s * costs.predictor_s,
    )


def most_predictors(costs: Costs, service_time_s: float, part: str) -> int:
    """Returns the most predictors for which a part, such as "router_cores", needs no more than one core."""
    counts = range(1, MAX_PREDICTORS + 1)
    return max(1, bisect_right(counts, 1.0, key=lambda count: getattr(layout(count, costs, service_time_s), part)))
