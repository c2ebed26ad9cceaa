"""How many predictors a load needs: the refused share of each kind of deployment, all up and with one down. No I/O.

In the steady state, by Erlang's loss formula: what faults cost in a year is in yearly.py.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from experiments.theory.checks import is_count, require
from experiments.theory.erlang import refused_share


class NoSizeError(ValueError):
    """No number of predictors that is looked for refuses so little."""


MOST_PREDICTORS, MOST_SLOTS = 1_000, 500_000
"""Sizes beyond one of these are not looked for: some 30 ms of work, whatever is asked for."""


class Kind(StrEnum):
    """How predictors stand in for each other."""

    SINGLE = "single"
    """One, and nothing else."""
    ACTIVE = "active"
    """All take requests."""
    WARM = "warm"
    """One beside the actives runs and waits; it is promoted when an active fails and when all are full."""
    COLD = "cold"
    """One beside the actives is started only when an active fails."""


@dataclass(frozen=True)
class Demand:
    """What is asked for, and what one predictor gives.

    Raises:
        ValueError: a value is out of its range; the text names the value and the range.
    """

    rate_per_s: float
    """Requests offered per second, at random (Poisson)."""
    service_time_s: float
    """How long a request holds its slot, in the mean: the formula needs no more of it."""
    capacity: int
    """The slots of one predictor: the most requests in flight that it is given."""
    saturation_per_s: float = math.inf
    """The most answers per second of one predictor; infinite where its slots serve independently of each other."""

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        require(0 < self.rate_per_s < math.inf, "rate_per_s", self.rate_per_s, "above 0, finite")
        require(0 < self.service_time_s < math.inf, "service_time_s", self.service_time_s, "above 0, finite")
        require(is_count(self.capacity), "capacity", self.capacity, "a whole number from 1")
        require(self.capacity <= MOST_SLOTS, "capacity", self.capacity, f"at most {MOST_SLOTS}")
        require(self.saturation_per_s > 0, "saturation_per_s", self.saturation_per_s, "above 0")

    @property
    def erlangs(self) -> float:
        """Requests in flight in the mean, were none refused and did none wait."""
        return self.rate_per_s * self.service_time_s

    @property
    def queues(self) -> bool:
        """Whether requests wait inside a predictor before all of its slots are held."""
        return self.saturation_per_s * self.service_time_s < self.capacity

    def refused_share(self, predictors: int) -> float:
        """The share of the requests that so many predictors refuse; 1 where there is none."""
        most_at_once = predictors * self.saturation_per_s * self.service_time_s if predictors else math.inf
        return refused_share(predictors * self.capacity, self.erlangs, most_at_once)

    def utilisation(self, predictors: int) -> float:
        """The offered load divided by what so many predictors carry; above 1 more is offered than they can do."""
        per_predictor = min(self.capacity / self.service_time_s, self.saturation_per_s)
        return self.rate_per_s / (predictors * per_predictor)


@dataclass(frozen=True)
class Deployment:
    """So many predictors of a kind."""

    kind: Kind
    predictors: int
    """All of them, a standby included."""

    def __post_init__(self) -> None:
        """Refuses a number that the kind cannot have. Raises ValueError."""
        fewest = 2 if self.kind in (Kind.WARM, Kind.COLD) else 1
        require(is_count(self.predictors, fewest), "predictors", self.predictors, f"a whole number from {fewest}")
        require(self.kind is not Kind.SINGLE or self.predictors == 1, "predictors", self.predictors, "1 of a single")

    @property
    def actives(self) -> int:
        """Those that take requests by plan."""
        return self.predictors - (self.kind in (Kind.WARM, Kind.COLD))

    @property
    def running(self) -> int:
        """The processes that run while nothing is wrong, whose slots are there at once."""
        return self.predictors - (self.kind is Kind.COLD)

    @property
    def name(self) -> str:
        """What it is called: by the actives, and the standby where one has to say which."""
        if self.kind is Kind.SINGLE:
            return str(self.kind)
        if self.kind is Kind.ACTIVE:
            return f"{self.actives}active{', no standby' if self.actives == 2 else ''}"
        return f"{self.actives}active, {self.kind} standby"


@dataclass(frozen=True)
class Size:
    """A deployment under a demand, in the steady state."""

    deployment: Deployment
    slots: int
    """Of the predictors that run while nothing is wrong."""
    utilisation: float
    """The offered load divided by what these carry."""
    refused_share: float
    """With all up."""
    refused_share_one_down: float
    """With one of those that run down, before a cold standby has started."""
    meets_up: bool
    """Whether the target is held with all up."""
    meets_target: bool
    """Whether it is held with one down, too."""


def size_of(deployment: Deployment, demand: Demand, most_refused: float) -> Size:
    """Returns what the deployment refuses; `most_refused` is the greatest share that the target allows."""
    up, one_down = demand.refused_share(deployment.running), demand.refused_share(deployment.running - 1)
    return Size(
        deployment,
        deployment.running * demand.capacity,
        demand.utilisation(deployment.running),
        up,
        one_down,
        up <= most_refused,
        max(up, one_down) <= most_refused,
    )


def sizes(demand: Demand, most_refused: float) -> list[Size]:
    """Returns the fewest predictors of each kind that hold the target with all up, and with one down; each once.

    Raises:
        ValueError: no number of predictors up to MOST_PREDICTORS, or up to MOST_SLOTS slots, holds it; or
            `most_refused` is not between 0 and 1.
    """
    enough = fewest(demand, most_refused)
    single = Deployment(Kind.SINGLE, 1)
    return [size_of(each, demand, most_refused) for each in (single, *_of_several(enough))]


def fewest(demand: Demand, most_refused: float) -> int:
    """Returns the fewest predictors that together refuse at most this share. Raises ValueError as `sizes` does.

    One more predictor never refuses more, so the search doubles, then bisects.
    """
    require(0 < most_refused < 1, "most_refused", most_refused, "above 0 and below 1")
    most = min(MOST_PREDICTORS, MOST_SLOTS // demand.capacity)
    low, high = 0, 1
    while demand.refused_share(high) > most_refused:
        if high == most:
            message = (
                f"{most} predictors refuse more than {100 * most_refused:g} % of {demand.rate_per_s:.10g} requests/s"
            )
            raise NoSizeError(message)
        low, high = high, min(2 * high, most)
    between = range(low + 1, high)
    return low + 1 + bisect_left(between, True, key=lambda each: demand.refused_share(each) <= most_refused)


def _of_several(enough: int) -> Iterator[Deployment]:
    """The deployments of several predictors that hold the target with all up, then those with one down, by kind."""
    for kind in (Kind.ACTIVE, Kind.WARM, Kind.COLD):
        for running in (enough, enough + 1):
            predictors = running + (kind is Kind.COLD)
            if predictors > 1:
                yield Deployment(kind, predictors)
