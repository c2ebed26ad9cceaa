"""Whether two figures, rates at first failure above all, differ by more than chance.

Criterion. Repeats decide where they can: a difference is called one when the two ranges do not overlap and that
would happen by chance, were both alike, in at most 5 % of experiments of that size (2 n! m! / (n+m)!, both orders
of two complete groups; from 4 runs of each on). Otherwise the difference of the medians is set beside the spread
that theory gives for it: half of the 5-95 % ranges of single runs, narrowed as a median of so many runs is (its
variance is about pi / (2 n + pi - 2) of one run's, for a normal spread), added as independent errors are.
"""

from dataclasses import dataclass
from math import hypot, pi, sqrt

from experiments.experiment import Figure
from experiments.results.statistics import ranges_separate

AGREE = "agree"
DIFFER = "differ"
NOT_DECIDED = "not decided"


@dataclass(frozen=True)
class Comparison:
    """Two figures beside each other: AGREE, DIFFER or NOT_DECIDED, and on which grounds."""

    a: Figure
    b: Figure
    verdict: str
    difference: float
    """Of the medians, in the figures' unit."""
    single_runs_vary_by: float | None
    """By theory, 9 in 10 pairs of single runs are no further apart than this; None without theory."""
    medians_vary_by: float | None
    """The same of medians of as many runs as were done."""
    ranges_separate: bool
    """Whether the repeats alone decide."""


def compare_pair(a: Figure, b: Figure) -> Comparison:
    """Sets two figures beside each other."""
    difference = round(abs(a.stats.median - b.stats.median), 3)
    noise, single_noise = _noise(a, b, (a.stats.count, b.stats.count)), _noise(a, b, (1, 1))
    separate = ranges_separate(a.stats, b.stats)
    if separate:
        verdict = DIFFER
    elif noise is None:
        verdict = NOT_DECIDED
    elif difference <= noise:
        verdict = AGREE
    else:
        verdict = DIFFER if _expected_to_differ(a, b) else NOT_DECIDED
    return Comparison(a, b, verdict, difference, single_noise, noise, separate)


def _expected_to_differ(a: Figure, b: Figure) -> bool:
    """Whether slots, or theory's medians (those of another pace, say), give reason to expect a difference."""
    medians = {side.theory.median for side in (a, b) if side.theory is not None}
    return a.slots != b.slots or len(medians) > 1


def _noise(a: Figure, b: Figure, runs: tuple[int, int]) -> float | None:
    """Half the 5-95 % range of the difference of two medians of so many runs, by theory; None without one."""
    if a.theory is None or b.theory is None:
        return None
    sides = zip((a.theory, b.theory), runs, strict=True)
    return hypot(*((theory.p95 - theory.p5) / 2 * sqrt(pi / (2 * count + pi - 2)) for theory, count in sides))
