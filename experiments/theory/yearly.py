"""What faults cost a deployment in a year: by a closed formula in the mean, and year by year at random. No I/O.

A deployment with j predictors up refuses the share of its load that Erlang's formula gives for the slots of j; faults
come as a Poisson process and repairs take log-normal times, each predictor's by itself. Requests that a fault costs at
its edges, in flight or until it is noticed, come on top.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from experiments.theory.simulation import Floats, Ints
from experiments.theory.sizing import Demand, Deployment, Kind

YEAR_S = 365.0 * 86_400

FEWEST_YEARS, MOST_TRANSITIONS = 100, 6_000_000
"""As many years are simulated as have so many failures and repairs together, and no fewer."""

REPAIR_SIGMA = math.sqrt(math.log(2))
"""Of the logarithm of a repair's time: its standard deviation is its mean. Log-normal, as MIL-HDBK-472 has it."""


@dataclass(frozen=True)
class Faults:
    """How often predictors and router fail, and how long they are gone; a field may be an array, a value per year."""

    mtbf_s: Any
    """Mean time between failures of one predictor."""
    repair_s: Any
    """Mean time from a failure until the predictor serves again."""
    common_cause: Any
    """The share of failures that take all predictors at once: the beta factor of IEC 61508-6."""
    start_s: Any
    """From the order to start a cold standby until it serves."""
    start_fails: Any
    """The share of such starts that come to nothing."""
    router_mtbf_s: Any
    """Mean time between failures of the router."""


@dataclass(frozen=True)
class Edges:
    """Requests that a fault costs beside those that too few slots refuse meanwhile; a field may be an array."""

    lost_per_fault: Any
    """By a predictor's fault: in flight there, or until it is noticed."""
    lost_per_router_fault: Any
    """By the router's."""


def years_that_fit(deployment: Deployment, faults: Faults, most: int) -> int:
    """Returns how many years can be simulated: `most`, or as many as have MOST_TRANSITIONS failures and repairs."""
    a_year = 2 * deployment.running * (YEAR_S / float(faults.mtbf_s) + 12)
    return max(FEWEST_YEARS, min(most, int(MOST_TRANSITIONS / a_year)))


def lost_per_year(deployment: Deployment, demand: Demand, faults: Faults, edges: Edges) -> Floats:
    """Returns the requests that a year costs in the mean: one number, or one for each value of the arrays.

    With u the share of the time that one predictor is down, j of n are down for the binomial share of the year; a cold
    standby is there for one of them once it has started. Common causes take all. Overlaps of common causes with other
    faults, and a second failure while a cold standby starts, are left out: the simulation has the latter.
    """
    refused = [demand.refused_share(up) for up in range(deployment.running + 2)]
    n, rate_per_s = deployment.running, demand.rate_per_s
    own_rate_per_s = (1 - faults.common_cause) / faults.mtbf_s
    u = own_rate_per_s * faults.repair_s / (1 + own_rate_per_s * faults.repair_s)
    covered = _covered_share(deployment, faults)
    share = (1 - u) ** n * refused[n] + sum(
        math.comb(n, j) * u**j * (1 - u) ** (n - j) * (covered * refused[n - j + 1] + (1 - covered) * refused[n - j])
        for j in range(1, n + 1)
    )
    own_faults = n * own_rate_per_s * (1 - u) * YEAR_S
    common_s = faults.common_cause / faults.mtbf_s * YEAR_S * faults.repair_s
    return np.asarray(
        rate_per_s * (YEAR_S * share + common_s * (1 - refused[n]))
        + own_faults * edges.lost_per_fault
        + YEAR_S / faults.router_mtbf_s * edges.lost_per_router_fault
    )


def _covered_share(deployment: Deployment, faults: Faults) -> Any:
    """The share of a predictor's time down for which a cold standby stands in; 0 without one."""
    if deployment.kind is not Kind.COLD:
        return 0.0
    waited_share = waited_s(faults.start_s, faults.repair_s) / faults.repair_s
    return (1 - faults.start_fails) * (1 - waited_share)


def waited_s(start_s: Any, repair_s: Any) -> Floats:
    """Returns how long a cold standby is waited for, in the mean: for its start, or for the repair if that is sooner.

    The limited expected value of a log-normal time (S. A. Klugman, H. H. Panjer, G. E. Willmot, "Loss Models").
    """
    with np.errstate(divide="ignore"):  # a start that takes no time
        place = (np.log(start_s) - np.log(repair_s)) / REPAIR_SIGMA + REPAIR_SIGMA / 2
    cdf = np.vectorize(NormalDist().cdf, otypes=[float])
    return np.asarray(repair_s * cdf(place - REPAIR_SIGMA) + start_s * (1 - cdf(place)))


def simulate_years(deployment: Deployment, demand: Demand, faults: Faults, edges: Edges, seed: int) -> Floats:
    """Returns the requests lost in each of so many years as `faults` has values (arrays of one length).

    The same seed meets every deployment with the same common causes and router faults.
    """
    years = len(np.atleast_1d(faults.mtbf_s))
    chance, shared = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    common_s = _common_s(faults, years, shared)
    router_faults = shared.poisson(YEAR_S / faults.router_mtbf_s, years)
    refused = np.array([demand.refused_share(up) for up in range(deployment.running + 2)])
    lost_s, own_faults = _own_faults(deployment, refused, faults, years, chance)
    return np.asarray(
        demand.rate_per_s * (lost_s + common_s * (1 - refused[deployment.running]))
        + own_faults * edges.lost_per_fault
        + router_faults * edges.lost_per_router_fault
    )


def _common_s(faults: Faults, years: int, rng: np.random.Generator) -> Floats:
    """How long common causes have all predictors down in each year."""
    count = rng.poisson(faults.common_cause * YEAR_S / faults.mtbf_s, years)
    times_s = _repairs_s(faults, (years, max(1, int(count.max()))), rng)
    return np.asarray((times_s * (np.arange(times_s.shape[1]) < count[:, np.newaxis])).sum(axis=1))


def _repairs_s(faults: Faults, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Times of repairs, a row per year."""
    mean_s = np.broadcast_to(faults.repair_s, shape[:1]).reshape(-1, *[1] * (len(shape) - 1))
    return np.asarray(mean_s * np.exp(rng.normal(-(REPAIR_SIGMA**2) / 2, REPAIR_SIGMA, shape)))


def _own_faults(
    deployment: Deployment, refused: Floats, faults: Faults, years: int, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """The seconds of load that each year loses as each predictor fails by itself, and how often one does."""
    n = deployment.running
    up_s = np.broadcast_to(faults.mtbf_s / (1 - faults.common_cause), (years,))
    cycles = YEAR_S / float(up_s.min())
    shape = (years, n, math.ceil(cycles + 6 * math.sqrt(cycles) + 6))
    down_s = _repairs_s(faults, shape, rng)
    back_at_s = np.cumsum(rng.exponential(up_s[:, np.newaxis, np.newaxis], shape) + down_s, axis=2)
    failed_at_s = back_at_s - down_s
    at_s = np.minimum(np.concatenate([failed_at_s, back_at_s], axis=2).reshape(years, -1), YEAR_S)
    step = np.concatenate([np.ones(shape, int), -np.ones(shape, int)], axis=2).reshape(years, -1)
    order = np.argsort(at_s, axis=1, kind="stable")
    at_s, down = np.take_along_axis(at_s, order, axis=1), np.cumsum(np.take_along_axis(step, order, axis=1), axis=1)
    down = np.minimum(down, n)  # what lies beyond the year stands at its end, in no order
    lasts_s = np.diff(at_s, axis=1, append=YEAR_S)
    lost_s = at_s[:, 0] * refused[n] + (lasts_s * refused[n - down]).sum(axis=1)
    if deployment.kind is Kind.COLD:
        stands_in_s = _stands_in_s(at_s, lasts_s, down, faults, rng)
        lost_s -= (stands_in_s * (refused[n - down] - refused[n - down + 1])).sum(axis=1)
    return lost_s, (failed_at_s < YEAR_S).sum(axis=(1, 2))


def _stands_in_s(at_s: Floats, lasts_s: Floats, down: Ints, faults: Faults, rng: np.random.Generator) -> Floats:
    """How long a cold standby stands in after each transition: it is started when the first of the actives fails."""
    before = np.concatenate([np.zeros((len(down), 1), int), down[:, :-1]], axis=1)
    begins = (before == 0) & (down == 1)
    began_s = np.maximum.accumulate(np.where(begins, at_s, -np.inf), axis=1)
    starts = rng.random(at_s.shape) >= np.reshape(faults.start_fails, (-1, 1))
    place = np.maximum.accumulate(np.where(begins, np.arange(at_s.shape[1]), 0), axis=1)
    serves_from_s = began_s + np.reshape(faults.start_s, (-1, 1))
    left_s = np.clip(at_s + lasts_s - np.maximum(at_s, serves_from_s), 0, None)
    return np.asarray(left_s * (down > 0) * np.take_along_axis(starts, place, axis=1))
