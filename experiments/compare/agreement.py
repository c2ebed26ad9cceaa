"""Whether two topologies' rates at first failure differ by more than chance.

Criterion. Repeats decide where they can: a difference is called one when the two ranges do not overlap and that
would happen by chance, were both alike, in at most 5 % of experiments of that size (2 n! m! / (n+m)!, both orders
of two complete groups; from 4 runs of each on). Otherwise the difference of the medians is set beside the spread
that theory gives for it: half of the 5-95 % ranges of single runs, narrowed as a median of so many runs is (its
variance is about pi / (2 n + pi - 2) of one run's, for a normal spread), added as independent errors are.
"""

from dataclasses import dataclass
from math import hypot, pi, sqrt

from experiments.results.statistics import RunStats, ranges_separate
from experiments.theory.first_failure import Spread

AGREE = "agree"
DIFFER = "differ"
NOT_DECIDED = "not decided"


@dataclass(frozen=True)
class MeasuredRate:
    """What is compared of one topology: its slots, its rates at first failure, and theory's spread of one run."""

    topology: str
    slots: int
    rate_per_s: RunStats
    theory_per_s: Spread | None


@dataclass(frozen=True)
class Comparison:
    """One pair of topologies beside each other: AGREE, DIFFER or NOT_DECIDED, and on which grounds."""

    a: MeasuredRate
    b: MeasuredRate
    verdict: str
    difference_per_s: float
    """Of the medians of the rates at first failure."""
    single_runs_vary_by_per_s: float | None
    """By theory, 9 in 10 pairs of single runs are no further apart than this; None without theory."""
    medians_vary_by_per_s: float | None
    """The same of medians of as many runs as were done."""
    ranges_separate: bool
    """Whether the repeats alone decide."""


def compare_pair(a: MeasuredRate, b: MeasuredRate) -> Comparison:
    """Sets two topologies' rates at first failure beside each other."""
    difference = round(abs(a.rate_per_s.median - b.rate_per_s.median), 3)
    noise, single_noise = _noise_per_s(a, b, (a.rate_per_s.count, b.rate_per_s.count)), _noise_per_s(a, b, (1, 1))
    separate = ranges_separate(a.rate_per_s, b.rate_per_s)
    if separate:
        verdict = DIFFER
    elif noise is None:
        verdict = NOT_DECIDED
    elif difference <= noise:
        verdict = AGREE
    else:
        verdict = DIFFER if _expected_to_differ(a, b) else NOT_DECIDED
    return Comparison(a, b, verdict, difference, single_noise, noise, separate)


def _expected_to_differ(a: MeasuredRate, b: MeasuredRate) -> bool:
    """Whether slots, or theory's medians (those of another pace, say), give reason to expect a difference."""
    medians = {side.theory_per_s.median for side in (a, b) if side.theory_per_s is not None}
    return a.slots != b.slots or len(medians) > 1


def _noise_per_s(a: MeasuredRate, b: MeasuredRate, runs: tuple[int, int]) -> float | None:
    """Half the 5-95 % range of the difference of two medians of so many runs, by theory; None without one."""
    halves = []
    for side, count in zip((a, b), runs, strict=True):
        if side.theory_per_s is None:
            return None
        halves.append((side.theory_per_s.p95 - side.theory_per_s.p5) / 2 * sqrt(pi / (2 * count + pi - 2)))
    return hypot(*halves)
