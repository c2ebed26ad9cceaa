"""What a deployment costs in a year: in the mean, by the closed formula, and year by year at random."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from experiments.answer.inputs import SEED, Inputs
from experiments.answer.measured import EdgeLosses
from experiments.theory.outages import YEAR_S
from experiments.theory.simulation import Floats
from experiments.theory.sizing import Deployment
from experiments.theory.yearly import Edges, Faults, lost_per_year, simulate_years, years_that_fit

YEARS = 4_000
"""So many years are simulated, each with values of its own of the inputs; means by the formula are over the same."""

HOURS_PER_YEAR = YEAR_S / 3_600

CAUSES = ("too few slots", "single predictors' failures", "common causes", "the router's failures")
"""What loses requests: with all up, and what faults add."""


@dataclass(frozen=True)
class Yearly:
    """A figure of a year: its mean, its median, and the range that holds nine years in ten."""

    mean: float
    """The mean over the simulated years; rare years may hold most of it."""
    median: float
    """Half of the years lie below."""
    p5: float
    """5 % of the years lie below."""
    p95: float
    """5 % of the years lie above."""


@dataclass(frozen=True)
class YearRow:
    """What a deployment costs in a year."""

    deployment: str
    """Its name."""
    predictors: int
    """All of them."""
    running: int
    """Those that run, and are paid for, all the time."""
    refused_share: float
    """With all up."""
    refused_share_one_down: float
    """With one of those that run down; of a cold standby until it has started."""
    lost: Yearly
    """Requests that get no good answer."""
    delayed: Yearly | None
    """Requests that faults delay; null where no run measured it."""
    downtime_min: Yearly
    """Equivalent downtime, in minutes: requests lost divided by the rate."""
    downtime_cost: Yearly
    """What it costs."""
    server_cost: Yearly
    """What the running predictors cost."""
    total_cost: Yearly
    """Both together."""
    nines: float
    """How many nines its availability begins with, in the mean: -log10 of the share lost."""
    meets_target_in_a_year: bool
    """Whether so much of a year's requests is answered well in the mean."""


def total_cost(deployment: Deployment, inputs: Inputs, edges: Mapping[str, EdgeLosses]) -> float:
    """Returns the mean cost of a year, of servers and downtime: by the closed formula, over the inputs' ranges."""
    faults, drawn = inputs.drawn(YEARS)
    lost = lost_per_year(deployment, inputs.demand, faults, _edges(deployment, inputs, edges, drawn))
    downtime_cost = lost / inputs.rate.value / 60 * drawn["per_minute"]
    return float((downtime_cost + deployment.running * HOURS_PER_YEAR * drawn["server_hour"]).mean())


def lost_by_cause(deployment: Deployment, inputs: Inputs, edges: Mapping[str, EdgeLosses]) -> dict[str, float]:
    """Returns the requests that a year loses in the mean, by what loses them; see CAUSES."""
    faults, drawn = inputs.drawn(YEARS)
    own = _edges(deployment, inputs, edges, drawn)
    none = replace(own, lost_per_router_fault=0.0)

    def lost(faults: Faults, edges: Edges) -> float:
        return float(lost_per_year(deployment, inputs.demand, faults, edges).mean())

    all_lost, no_router = lost(faults, own), lost(faults, none)
    with np.errstate(divide="ignore"):  # who never fails by itself
        by_itself_s = faults.mtbf_s / (1 - faults.common_cause)
    alone = lost(replace(faults, common_cause=0.0, mtbf_s=by_itself_s), none)
    up = inputs.demand.refused_share(deployment.running) * inputs.rate.value * YEAR_S
    return dict(zip(CAUSES, (up, alone - up, max(0.0, no_router - alone), all_lost - no_router), strict=True))


def _edges(
    deployment: Deployment, inputs: Inputs, edges: Mapping[str, EdgeLosses], drawn: Mapping[str, Floats]
) -> Edges:
    """What faults cost beside what too few slots refuse, in the mean per fault: measured, else by theory."""
    own = edges.get(deployment.name)
    at_edge = lost_at_edge(deployment, inputs) if own is None else max(0.0, fmean(own.lost)) * inputs.demand.erlangs
    return Edges(at_edge, drawn["router_loss"] * in_flight(deployment, inputs))


def in_flight(deployment: Deployment, inputs: Inputs) -> float:
    """Returns the requests in flight in the mean with all up."""
    return inputs.demand.erlangs * (1 - inputs.demand.refused_share(deployment.running))


def lost_at_edge(deployment: Deployment, inputs: Inputs) -> float:
    """Returns the requests in flight at a predictor that fails which find no slot as they are sent again."""
    share = inputs.demand.refused_share(deployment.running - 1)
    return in_flight(deployment, inputs) / deployment.running * share


def year_of(deployment: Deployment, inputs: Inputs, edges: Mapping[str, EdgeLosses]) -> YearRow:
    """Returns what a deployment costs in a year, over simulated years; each has inputs of its own from their ranges."""
    faults, drawn = inputs.drawn(years_that_fit(deployment, inputs.faults, YEARS))
    years, chance = len(drawn["rate"]), np.random.default_rng(SEED)
    own = edges.get(deployment.name)
    at_edges = lost_at_edge(deployment, inputs) if own is None else _resampled(own.lost, years, inputs, chance)
    router = drawn["router_loss"] * in_flight(deployment, inputs)
    lost = simulate_years(deployment, inputs.demand, faults, Edges(at_edges, router), SEED)
    faults_a_year = deployment.running * YEAR_S / faults.mtbf_s
    delayed = None if own is None else _yearly(_resampled(own.delayed, years, inputs, chance) * faults_a_year)
    downtime_min = lost / inputs.rate.value / 60
    downtime_cost = downtime_min * drawn["per_minute"]
    server_cost = deployment.running * HOURS_PER_YEAR * drawn["server_hour"]
    share = float(lost.mean()) / (inputs.rate.value * YEAR_S)
    return YearRow(
        deployment.name,
        deployment.predictors,
        deployment.running,
        inputs.demand.refused_share(deployment.running),
        inputs.demand.refused_share(deployment.running - 1),
        _yearly(lost),
        delayed,
        _yearly(downtime_min),
        _yearly(downtime_cost),
        _yearly(server_cost),
        _yearly(downtime_cost + server_cost),
        round(-float(np.log10(share)), 2) if share > 0 else 99.0,
        share <= inputs.most_refused,
    )


def _resampled(values: Sequence[float], years: int, inputs: Inputs, chance: np.random.Generator) -> Floats:
    """The mean per fault, in requests, of as many faults drawn from those measured, for each year (the bootstrap)."""
    drawn = chance.choice(np.array(values), (years, len(values))).mean(axis=1)
    return np.asarray(np.maximum(0.0, drawn) * inputs.demand.erlangs)


def _yearly(values: Floats) -> Yearly:
    p5, median, p95 = (float(each) for each in np.quantile(values, (0.05, 0.5, 0.95)))
    return Yearly(float(values.mean()), median, p5, p95)
