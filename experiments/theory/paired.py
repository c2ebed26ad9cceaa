"""How many slots apart two loss systems are that were offered the same arrivals, and how sure that is. No I/O."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from experiments.theory.checks import is_count, require
from experiments.theory.erlang import erlang_b
from experiments.theory.intervals import Interval
from experiments.theory.simulation import Bools, Floats
from experiments.theory.verdicts import LEVEL, POWER, Verdict

BLOCK_SERVICE_TIMES = 10.0
"""Length of a block: longer than two systems that differ by a request go on differently because of it."""

FEWEST_BLOCKS = 3
LEAST_VARIANCE = 1.0
"""Of a difference counted in requests: that of a single request, however alike two records are."""


@dataclass(frozen=True)
class Estimate:
    """A figure, and how sure it is."""

    value: float
    variance: float
    """Of `value`, itself estimated."""
    freedom: float
    """Degrees of freedom of that variance."""

    def interval(self, confidence: float) -> Interval:
        """The interval at this confidence (0.95, say), by Student's t."""
        half = student_t((1 + confidence) / 2, self.freedom) * math.sqrt(self.variance)
        return Interval(self.value - half, self.value + half)

    def times(self, factor: float) -> "Estimate":
        """The same in another unit."""
        return Estimate(self.value * factor, self.variance * factor**2, self.freedom)


def paired_difference(moments_s: Floats, differences: Floats, service_time_s: float) -> Estimate:
    """How many requests one system refused more than another that got the same, with a variance from blocks of time.

    Refusals come in groups, and two systems that differ by one request go on differently for a while: neighbouring
    differences are not independent, sums over several service times are, nearly (batch means: A. M. Law, W. D. Kelton,
    "Simulation Modeling and Analysis", 1982). Where slots are seldom free, a request that a block's end cuts off from
    its answer is missing in one sum and too much in the next: the variance is then rather too large than too small.

    Args:
        moments_s: (arrivals,) when each request was due, ascending.
        differences: (arrivals,) 1 where the first system alone refused it, -1 where the second alone did, else 0.
        service_time_s: how long a slot is held.

    Raises:
        ValueError: the arrays differ in length or are empty, or `service_time_s` is not above 0.
    """
    require(len(moments_s) == len(differences) > 0, "differences", len(differences), "one for each moment")
    require(service_time_s > 0, "service_time_s", service_time_s, "above 0")
    span_s = float(moments_s[-1] - moments_s[0])
    blocks = max(FEWEST_BLOCKS, int(span_s / (BLOCK_SERVICE_TIMES * service_time_s)))
    edges = np.linspace(moments_s[0], moments_s[-1], blocks + 1)[1:-1]
    sums = np.bincount(np.searchsorted(edges, moments_s), differences, blocks)
    variance = max(LEAST_VARIANCE, blocks * float(np.var(sums, ddof=1)))
    return Estimate(float(np.sum(differences)), variance, blocks - 1)


def add_up(estimates: Sequence[Estimate]) -> Estimate:
    """The sum of independent estimates; degrees of freedom by Welch and Satterthwaite.

    Raises:
        ValueError: there is none.
    """
    require(len(estimates) > 0, "estimates", estimates, "one or more")
    variance = sum(each.variance for each in estimates)
    freedom = variance**2 / sum(each.variance**2 / each.freedom for each in estimates)
    return Estimate(sum(each.value for each in estimates), variance, freedom)


def judge_estimate(estimate: Estimate, margin: float) -> Verdict:
    """The verdict on a difference of which more is better, by the rule of `verdicts.judge`.

    Equal where the interval of two one-sided tests lies within the margin; else better or worse where 0 lies outside
    the interval of the two-sided test.
    """
    both, sides = estimate.interval(1 - LEVEL), estimate.interval(1 - 2 * LEVEL)
    if -margin < sides.low and sides.high < margin:
        return Verdict.EQUAL
    if both.contains(0.0):
        return Verdict.NOT_DECIDED
    return Verdict.BETTER if estimate.value > 0 else Verdict.WORSE


def sample_to_decide(estimate: Estimate, margin: float) -> float:
    """How many times the sample would decide in 4 of 5 experiments, were difference and spread as measured.

    The sooner of both decisions; infinite where the difference is exactly the margin and 0.
    """
    quantile = NormalDist().inv_cdf
    ways = (
        (quantile(1 - LEVEL / 2) + quantile(POWER), abs(estimate.value)),
        (quantile(1 - LEVEL) + quantile(POWER), margin - abs(estimate.value)),
    )
    return min((size**2 * estimate.variance / far**2 for size, far in ways if far > 0), default=math.inf)


def refused_share_per_slot(slots_a: int, slots_b: int, erlangs: float) -> float:
    """By how much the refused share grows per slot that is missing, by Erlang B at this load.

    The mean over the slots between `slots_a` and `slots_b`; where both are equal, that of the last slot.

    Raises:
        ValueError: slots are no whole numbers from 1, or `erlangs` is not above 0.
    """
    require(is_count(slots_a) and is_count(slots_b), "slots", (slots_a, slots_b), "whole numbers from 1")
    require(erlangs > 0, "erlangs", erlangs, "above 0")
    most = max(slots_a, slots_b)
    fewest = min(slots_a, slots_b, most - 1)
    return (erlang_b(fewest, erlangs) - erlang_b(most, erlangs)) / (most - fewest)


def student_t(chance: float, freedom: float) -> float:
    """The value that Student's t with so many degrees of freedom stays below with this chance.

    Fisher and Cornish's expansion about the normal distribution (Abramowitz and Stegun, "Handbook of Mathematical
    Functions", 26.7.5): at the 95 and 97.5 % points right within 1 % from 2 degrees of freedom on.

    Raises:
        ValueError: `chance` is not between 0 and 1, or `freedom` is not above 0.
    """
    require(0 < chance < 1, "chance", chance, "above 0 and below 1")
    require(freedom > 0, "freedom", freedom, "above 0")
    x = NormalDist().inv_cdf(chance)
    terms = (
        x,
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def simulate_refused(slots: int, moments: Floats, service: Floats) -> Bools:
    """Which requests a loss system refuses, in many runs at once.

    Args:
        slots: requests that it serves at once.
        moments: (runs, arrivals) when each request of each run arrives, ascending.
        service: (runs, arrivals) how long each holds a slot if it gets one.

    Returns:
        (runs, arrivals) whether each was refused.

    Raises:
        ValueError: `slots` is no whole number from 1.
    """
    require(is_count(slots), "slots", slots, "a whole number from 1")
    runs, arrivals = moments.shape
    rows = np.arange(runs)
    free_at: Floats = np.zeros((runs, slots))
    refused: Bools = np.zeros((runs, arrivals), dtype=np.bool_)
    for number in range(arrivals):
        now = moments[:, number]
        first = np.argmin(free_at, axis=1)
        served = free_at[rows, first] <= now
        free_at[rows[served], first[served]] = (now + service[:, number])[served]
        refused[:, number] = ~served
    return refused
