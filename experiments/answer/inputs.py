"""What the answer depends on: each input with its range, its unit and where it came from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from experiments.theory.simulation import Floats
from experiments.theory.sizing import Demand
from experiments.theory.yearly import Faults

SEED = 1917
"""Of what is drawn."""

Z_95 = 1.6448536269514722
"""The standard normal distribution's 95th percentile."""

SHARES = ("common_cause", "start_fails")
"""The inputs that are shares, 1 at most."""

GIVEN = "given"
DEFAULT = "default: "
"""How a source begins that is nobody's measurement."""


@dataclass(frozen=True)
class Input:
    """One input: its value, what is known of its range, and whose it is."""

    value: float
    """In its unit; of a range the median."""
    unit: str
    """Empty for a plain number or a share."""
    source: str
    """Given, measured in a run, or a default and whose."""
    low: float | None = None
    """5 % of its values lie below; null where it is a point."""
    high: float | None = None
    """5 % of its values lie above."""

    @property
    def is_range(self) -> bool:
        """Whether it has a range."""
        return self.low is not None and self.high is not None

    def drawn(self, count: int, rng: np.random.Generator) -> Floats:
        """Returns so many values: the point, or at random.

        Half lie below `value`, 5 % below `low` and 5 % above `high`: the logarithm's is a normal distribution whose
        halves have spreads of their own.
        """
        chance = rng.standard_normal(count)
        if self.low is None or self.high is None:
            return np.full(count, self.value)
        below, above = math.log(self.value / self.low) / Z_95, math.log(self.high / self.value) / Z_95
        return np.asarray(self.value * np.exp(chance * np.where(chance < 0, below, above)))


def given(value: float, unit: str = "") -> Input:
    """An input that the user gave as one number."""
    return Input(value, unit, GIVEN)


@dataclass(frozen=True)
class Inputs:
    """Everything that the answer depends on, by the names of the options."""

    rate: Input
    """Requests offered per second."""
    target: Input
    """The share of requests to be answered well, in percent."""
    service_time: Input
    """How long a request holds a slot."""
    threshold: Input
    """The slots of one predictor."""
    mtbf: Input
    """Mean time between failures of one predictor."""
    repair: Input
    """Mean time from a failure until the predictor serves again."""
    common_cause: Input
    """The share of failures that take all predictors at once."""
    start_time: Input
    """From the order to start a predictor until it loads its model."""
    load_time: Input
    """How long a predictor loads its model before it serves."""
    start_fails: Input
    """The share of a cold standby's starts that come to nothing."""
    router_mtbf: Input
    """Mean time between failures of the router."""
    router_loss: Input
    """Requests that a failure of the router costs, per request in flight."""
    per_minute: Input
    """What a minute of downtime costs."""
    server_hour: Input
    """What a running predictor costs an hour."""
    saturation: Input | None = None
    """The most answers per second of one predictor, where its slots do not serve independently of each other."""
    users: Input | None = None
    """The users who send the requests, where these were given in place of a rate."""
    wait: Input | None = None
    """Their mean wait between an answer and the next request."""

    def of(self, name: str) -> Input:
        """The input of that name. Raises KeyError where there is none."""
        return self.as_mapping()[name]

    def as_mapping(self) -> dict[str, Input]:
        """Name -> input, in order, without those that there are none of."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def with_values(self, **values: float) -> "Inputs":
        """The same with other values, as points."""
        return replace(self, **{n: replace(self.of(n), value=v, low=None, high=None) for n, v in values.items()})

    @property
    def demand(self) -> Demand:
        """The load, and what one predictor gives."""
        saturation_per_s = self.saturation.value if self.saturation else math.inf
        return Demand(self.rate.value, self.service_time.value, round(self.threshold.value), saturation_per_s)

    @property
    def most_refused(self) -> float:
        """The greatest share of requests that the target lets be lost."""
        return 1 - self.target.value / 100

    @property
    def starts_after_s(self) -> float:
        """From the order to start a cold standby until it serves."""
        return self.start_time.value + self.load_time.value

    @property
    def faults(self) -> Faults:
        """How often things fail and how long they are gone, by the inputs' values."""
        return _faults({name: each.value for name, each in self.as_mapping().items()})

    def drawn(self, years: int) -> tuple[Faults, Mapping[str, Floats]]:
        """Returns the same with a value for each of so many years, and the values of each input by its name.

        The same chance meets the same input whatever the others are: a difference is their doing.
        """
        return _drawn(self, years)


@lru_cache(maxsize=4)
def _drawn(inputs: Inputs, years: int) -> tuple[Faults, Mapping[str, Floats]]:
    chance = np.random.default_rng(SEED)
    values = {name: each.drawn(years, chance) for name, each in inputs.as_mapping().items()}
    values |= {name: np.minimum(1.0, values[name]) for name in SHARES}
    return _faults(values), values


def _faults(values: Mapping[str, Any]) -> Faults:
    return Faults(
        mtbf_s=values["mtbf"],
        repair_s=values["repair"],
        common_cause=values["common_cause"],
        start_s=values["start_time"] + values["load_time"],
        start_fails=values["start_fails"],
        router_mtbf_s=values["router_mtbf"],
    )


HOURS, DAYS = 3_600.0, 86_400.0
POST = "the post's"
RIG = "this rig's assumption"

DEFAULTS: Mapping[str, Input] = {
    "rate": Input(8.6, "requests/s", f"{DEFAULT}the greatest rate at failure in the post"),
    "target": Input(99.9, "%", f"{DEFAULT}{RIG}"),
    "service_time": Input(1.0, "s", f"{DEFAULT}{POST} predictors"),
    "threshold": Input(10, "slots", f"{DEFAULT}{POST} node_threshold"),
    "mtbf": Input(30 * DAYS, "s", f"{DEFAULT}{RIG}", 10 * DAYS, 90 * DAYS),
    "repair": Input(600.0, "s", f"{DEFAULT}{RIG}", 180.0, 1_800.0),
    "common_cause": Input(0.02, "", f"{DEFAULT}{RIG}; IEC 61508-6, annex D, has 0.5 to 10 %", 0.01, 0.1),
    "start_time": Input(2.5, "s", f"{DEFAULT}about what this rig's predictors take"),
    "load_time": Input(0.0, "s", f"{DEFAULT}this rig's predictors load nothing"),
    "start_fails": Input(0.01, "", f"{DEFAULT}{RIG}", 0.001, 0.05),
    "router_mtbf": Input(90 * DAYS, "s", f"{DEFAULT}{RIG}", 30 * DAYS, 365 * DAYS),
    "router_loss": Input(1.0, "", f"{DEFAULT}a supervised router loses what it has in flight"),
    "per_minute": Input(5_600.0, "$", f"{DEFAULT}A. Lerner, Gartner, 2014: 2,300 to 9,000 a minute", 2_300.0, 9_000.0),
    "server_hour": Input(1.0, "$", f"{DEFAULT}{RIG}, about a small GPU in a cloud", 0.5, 3.0),
}
"""What counts where nothing is given and nothing measured, and whose it is."""
