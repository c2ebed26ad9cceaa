"""How sure a refused share or a count is. Wilson's interval is for so many independent requests as one has. No I/O."""

import functools
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from experiments.theory.checks import is_count, require
from experiments.theory.erlang import erlang_b
from experiments.theory.simulation import Bools, Floats, Ints

Z_95 = 1.959964
"""The normal distribution's 97.5 % point: 95 % lie between it and its mirror image."""

REPLICATIONS = 400
WARM_UP_SERVICE_TIMES = 20.0
"""Until the system, empty at first, no longer remembers its start; requests sent before are not counted."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, ends included."""

    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Whether the value lies in it."""
        return self.low <= value <= self.high


def wilson(share: float, trials: float, z: float = Z_95) -> Interval:
    """The interval for a share seen in so many independent trials, 95 % unless `z` differs.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927). `trials` need
    be no whole number: an effective number of trials is none.

    Raises:
        ValueError: `share` is not from 0 to 1, or `trials` is not above 0.
    """
    require(0 <= share <= 1, "share", share, "from 0 to 1")
    require(trials > 0, "trials", trials, "above 0")
    weight = z * z / trials
    middle = (share + weight / 2) / (1 + weight)
    half = z * sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def poisson(count: int, z: float = Z_95) -> Interval:
    """The interval for the mean of a Poisson count of which so many were seen, 95 % unless `z` differs.

    The exact limits are halves of chi-square's quantiles, with 2 `count` and 2 `count` + 2 degrees of freedom; here by
    their cube roots, which are about normal (E. B. Wilson, M. M. Hilferty, "The distribution of chi-square", 1931).

    Raises:
        ValueError: `count` is no whole number from 0.
    """
    require(is_count(count, fewest=0), "count", count, "a whole number from 0")
    low = count * (1 - 1 / (9 * count) - z / (3 * sqrt(count))) ** 3 if count else 0.0
    high = (count + 1) * (1 - 1 / (9 * (count + 1)) + z / (3 * sqrt(count + 1))) ** 3
    return Interval(max(0.0, low), high)


@functools.cache
def design_effect(slots: int, erlangs: float, arrivals: int) -> float:
    """How many requests of a loss system inform about its refused share as much as one independent request.

    Refusals come in groups, while all slots are occupied, so `arrivals` requests are worth fewer: the share varies
    more. But it is set beside Erlang B at the rate that was counted in the same run, not at the rate aimed at, and
    what chance did to that rate moves both alike: their difference varies less. Both effects are in the figure:
    the variance of that difference over simulated runs of Poisson arrivals and constant service, divided by the
    variance of a share of independent requests, B (1 - B) / `arrivals`. Above 1: more is needed.

    The idea of a design effect, and of dividing the sample by it: L. Kish, "Survey Sampling" (1965).

    Raises:
        ValueError: a value is out of its range.
    """
    require(is_count(slots), "slots", slots, "a whole number from 1")
    require(erlangs > 0, "erlangs", erlangs, "above 0")
    require(is_count(arrivals), "arrivals", arrivals, "a whole number from 1")
    shares, rates = simulate_shares(slots, erlangs, arrivals, REPLICATIONS, seed=1927)
    expected = np.array([erlang_b(slots, float(rate)) for rate in rates])
    blocking = erlang_b(slots, erlangs)
    return float(np.mean((shares - expected) ** 2)) / (blocking * (1 - blocking) / arrivals)


def simulate_shares(slots: int, erlangs: float, arrivals: int, runs: int, seed: int) -> tuple[Floats, Floats]:
    """Simulates whole runs of a loss system: refused share and counted arrival rate of each, (runs,) each.

    Poisson arrivals; constant service of length 1, in which time is measured, so that rates are erlangs. Requests of
    the first WARM_UP_SERVICE_TIMES are not counted.
    """
    random = np.random.default_rng(seed)
    free_at: Floats = np.zeros((runs, slots))
    oldest: Ints = np.zeros(runs, dtype=np.int64)  # index of the slot occupied longest ago: it is free first
    refused: Ints = np.zeros(runs, dtype=np.int64)
    rows: Any = np.arange(runs)
    began = now = np.zeros(runs)
    warm_up = warm_up_arrivals(erlangs)
    for number in range(warm_up + arrivals):
        if number == warm_up:
            began = now
        now = now + random.exponential(1 / erlangs, runs)
        served: Bools = free_at[rows, oldest] <= now
        free_at[rows[served], oldest[served]] = now[served] + 1
        oldest[served] = (oldest[served] + 1) % slots
        if number >= warm_up:
            refused += ~served
    return refused / arrivals, arrivals / (now - began)


def warm_up_arrivals(erlangs: float) -> int:
    """How many arrivals come in WARM_UP_SERVICE_TIMES, at least one."""
    return max(1, round(WARM_UP_SERVICE_TIMES * erlangs))
