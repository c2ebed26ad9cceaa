"""What faults cost a deployment in a year: by a closed formula in the mean, and year by year at random. No I/O.

A deployment with j predictors up refuses the share of its load that Erlang's formula gives for the slots of j. Each
predictor fails by itself, common causes take all (outages.py); requests that a fault costs at its edges, in flight or
until it is noticed, come on top.
"""

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from experiments.theory.checks import require
from experiments.theory.outages import FULL_YEARS, MOST_FAULTS, YEAR_S, Failing, Standby, Year, simulate
from experiments.theory.simulation import Floats
from experiments.theory.sizing import Demand, Deployment, Kind


@dataclass(frozen=True)
class Faults:
    """How often predictors and router fail, and how long they are gone; a field may be an array, a value per year.

    Raises:
        ValueError: a value is out of its range; the text names the value and the range.
    """

    mtbf_s: Any
    """Mean time that a predictor is up until it fails, by itself or with all; infinite where it never does."""
    repair_s: Any
    """Mean time from a failure until the predictor serves again."""
    common_cause: Any
    """The share of a predictor's failures that take all predictors at once: the beta factor of IEC 61508-6, annex D."""
    start_s: Any
    """From the order to start a cold standby until it serves."""
    start_fails: Any
    """The share of such starts that come to nothing."""
    router_mtbf_s: Any
    """Mean time between failures of the router; infinite where it never fails."""

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        _require_all("mtbf_s", self.mtbf_s, 1, math.inf)
        _require_all("repair_s", self.repair_s, 1e-3, 1e12)
        _require_all("common_cause", self.common_cause, 0, 1)
        _require_all("start_s", self.start_s, 0, 1e12)
        _require_all("start_fails", self.start_fails, 0, 1)
        _require_all("router_mtbf_s", self.router_mtbf_s, 1, math.inf)

    def each_year(self) -> "Faults":
        """Returns the same with arrays of one length."""
        values = (np.atleast_1d(np.asarray(getattr(self, each.name), float)) for each in fields(self))
        return Faults(*np.broadcast_arrays(*values))


def _require_all(name: str, values: Any, low: float, high: float) -> None:
    """Raises ValueError, with the first such value, unless all lie from `low` to `high`."""
    each = np.ravel(np.asarray(values, float))
    wrong = each[~((low <= each) & (each <= high))]
    require(not wrong.size, name, float(wrong[0]) if wrong.size else None, f"{low:g} to {high:g}")


@dataclass(frozen=True)
class Edges:
    """Requests that a fault costs beside those that too few slots refuse meanwhile; a field may be an array."""

    lost_per_fault: Any
    """By a predictor's own fault: in flight there, or until it is noticed. By a common cause: all in flight."""
    lost_per_router_fault: Any
    """By the router's."""


def years_that_fit(deployment: Deployment, faults: Faults, most: int) -> int:
    """Returns how many years to simulate: `most`, or as many as have MOST_FAULTS faults together, or FULL_YEARS."""
    a_year = float(_own(deployment, faults).faults_per_year)
    return min(most, max(FULL_YEARS, int(MOST_FAULTS / max(a_year, 1))))


def lost_per_year(deployment: Deployment, demand: Demand, faults: Faults, edges: Edges) -> Floats:
    """Returns the requests that a year costs in the mean: one number, or one for each value of the arrays.

    What `simulate_years` has in the mean, but for what `Failing` leaves out of a cold standby.
    """
    refused = _refused(deployment.running, demand)
    own, common = (
        each.mean_year(of_each)
        for each, of_each in ((_own(deployment, faults), refused), (_common(faults), _ALL_OR_NOTHING))
    )
    return _requests(demand, refused, edges, own, common, YEAR_S / faults.router_mtbf_s)


def simulate_years(deployment: Deployment, demand: Demand, faults: Faults, edges: Edges, seed: int) -> Floats:
    """Returns the requests lost in each of so many years as `faults` has values (arrays of one length).

    The same seed meets every deployment with the same common causes and router faults, where it has as many years; and
    those that differ in a cold standby alone with the same failures of the others.
    """
    faults = faults.each_year()
    chance, shared, of_standby = (np.random.default_rng([seed, stream]) for stream in (1, 2, 3))
    refused = _refused(deployment.running, demand)
    own = simulate(_own(deployment, faults), refused, chance, of_standby)
    common = simulate(_common(faults), _ALL_OR_NOTHING, shared, of_standby)
    return _requests(demand, refused, edges, own, common, shared.poisson(YEAR_S / faults.router_mtbf_s))


_ALL_OR_NOTHING = np.array([1.0, 0.0])
"""The share refused by a common cause: all while it is there, else nothing."""


@lru_cache(maxsize=256)
def _refused(running: int, demand: Demand) -> Floats:
    """The share refused with none, one, ... and all that run up: kept, as only faults and prices differ mostly."""
    shares = np.array([demand.refused_share(up) for up in range(running + 1)])
    shares.flags.writeable = False
    return shares


def _own(deployment: Deployment, faults: Faults) -> Failing:
    """The predictors that run, as each fails by itself; a standby that is promoted is one of them."""
    standby = Standby(faults.start_s, faults.start_fails) if deployment.kind is Kind.COLD else None
    return Failing(deployment.running, (1 - faults.common_cause) / faults.mtbf_s, faults.repair_s, standby)


def _common(faults: Faults) -> Failing:
    """All predictors, as common causes take them together, a cold standby too."""
    return Failing(1, faults.common_cause / faults.mtbf_s, faults.repair_s)


def _requests(demand: Demand, refused: Floats, edges: Edges, own: Year, common: Year, router_faults: Any) -> Floats:
    """The requests that a year costs: common causes take their share of what is served else, by chance as much."""
    share = own.refused_share + common.refused_share * (1 - own.refused_share)
    in_flight = demand.erlangs * (1 - refused[-1])
    return np.asarray(
        demand.rate_per_s * YEAR_S * share
        + own.faults * edges.lost_per_fault
        + common.faults * in_flight
        + router_faults * edges.lost_per_router_fault
    )
