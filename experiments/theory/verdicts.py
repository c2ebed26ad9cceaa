"""Whether two deployments differ in a figure, by exact tests over the repeats: better, worse, equal, not decided.

How often the rule errs and how often it decides is itself measured: tools/verdicts.py. No I/O here.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, product
from math import ceil, comb, floor, sqrt
from statistics import NormalDist, fmean, variance

import numpy as np

from experiments.theory.checks import require
from experiments.theory.simulation import Floats

LEVEL = 0.05
"""A true difference of 0 is called better or worse at most this often, one of the margin's size equal as seldom."""

FEWEST_TO_BE_EQUAL, FEWEST_TO_DIFFER = 3, 4
"""Of two groups of fewer no arrangement is rare enough for a test in one direction, or in both."""

PAIRS_FROM = 8
"""From so many repeats on differences within a repeat are tested by their signs; five pairs have 32 patterns of signs,
of which even the rarest are not rare enough. Fewer are tested as two groups, which is right for pairs too."""

MOST_ARRANGEMENTS = 20_000
"""Where there are more, so many are drawn at random: still exact, for the observed one is among them."""

POWER = 0.8
"""The chance of a decision that the number of further repeats is reckoned for."""

MOST_REPEATS = 1000
"""Where more would be needed, no number is given."""


class Verdict(StrEnum):
    """What the repeats say of the first deployment beside the second."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"
    NOT_DECIDED = "not decided"


@dataclass(frozen=True)
class Judgement:
    """The verdict on one figure of two deployments."""

    verdict: Verdict
    """Equal: the difference is smaller than the margin, by two one-sided tests of 5 % each. Better or worse: it is
    not 0, by a two-sided test of 5 %. A difference that is both is called equal: too small to matter."""
    difference: float
    """Mean of the first's values less mean of the second's; with pairs the mean of the differences in a repeat."""
    low: float | None
    """Lower end of the difference's 90 % interval; null where there are too few repeats for one."""
    high: float | None
    """Its upper end."""
    p_value: float
    """How often chance alone would make so great a difference, in either direction."""
    margin: float
    """Differences smaller than this count as none."""
    more_repeats: int | None
    """Not decided: how many repeats more would decide in 4 of 5 experiments, by the spread so far; null where it is
    decided, and where more than MOST_REPEATS would be needed."""


def judge(
    a: Sequence[float], b: Sequence[float], margin: float, *, more_is_better: bool, paired: bool = True
) -> Judgement:
    """Judges the first deployment's values of a figure beside the second's, one value per repeat.

    The exact permutation test of the difference of means: R. A. Fisher, "The Design of Experiments" (1935), chapter
    III; E. J. G. Pitman, "Significance tests which may be applied to samples from any populations" (1937). The
    interval holds every difference that the one-sided tests do not reject. Equality by two one-sided tests: D. J.
    Schuirmann, "A comparison of the two one-sided tests procedure and the power approach for assessing the equivalence
    of average bioavailability" (1987).

    Args:
        a: the first's values.
        b: the second's.
        margin: in the figure's unit; 0: nothing is ever equal.
        more_is_better: which direction is better.
        paired: whether the values of one place were measured side by side, in one repeat.

    Raises:
        ValueError: a side has no value, the margin is negative, or pairs are not as many on both sides.
    """
    require(len(a) > 0 and len(b) > 0, "values", (len(a), len(b)), "one at least of each")
    require(margin >= 0, "margin", margin, "0 or more")
    require(not paired or len(a) == len(b), "values", (len(a), len(b)), "as many of each, in pairs")
    shifts = _shifts(np.array(a, dtype=float), np.array(b, dtype=float), paired and len(a) >= PAIRS_FROM)
    low, high = _interval(shifts)
    difference = fmean(a) - fmean(b)
    p_value = min(1.0, 2 * min(_share_up_to(shifts, 0.0), _share_up_to(-shifts, 0.0)))
    if low is not None and high is not None and -margin < low and high < margin:
        verdict = Verdict.EQUAL
    elif p_value <= LEVEL:
        verdict = Verdict.BETTER if (difference > 0) == more_is_better else Verdict.WORSE
    else:
        verdict = Verdict.NOT_DECIDED
    more = _more_repeats(a, b, margin, paired) if verdict is Verdict.NOT_DECIDED else None
    return Judgement(verdict, difference, low, high, p_value, margin, more)


def next_look(repeats: int) -> int:
    """The number of repeats after which an experiment that goes on until it has a verdict judges again.

    To look often is to let chance decide: looks come after a third more repeats each time, and a verdict counts there
    when two looks running give it.
    """
    return max(FEWEST_TO_BE_EQUAL, repeats + max(1, repeats // 3))


def _shifts(a: Floats, b: Floats, by_signs: bool) -> Floats:
    """For every other arrangement of the values the difference, taken off a's, at which it would be as extreme.

    A true difference is as plausible as the share of arrangements that are at least as extreme once it is taken off
    a's values. Both the sum over an arrangement and the observed one are linear in what is taken off, so each
    arrangement has one value at which the two cross.
    """
    if by_signs:
        values, taken, weights = a - b, np.ones(len(a)), _signs(len(a))
    else:
        values, taken = np.concatenate([a, b]), np.concatenate([np.ones(len(a)), np.zeros(len(b))])
        weights = _groups(len(a), len(b))
    sums, taken_off = weights @ values, weights @ taken
    shifts: Floats = (sums[0] - sums[1:]) / (taken_off[0] - taken_off[1:])
    shifts[np.abs(shifts) < 1e-9 * np.abs(values).max(initial=0.0)] = 0.0
    return shifts


@functools.cache
def _groups(first: int, second: int) -> Floats:
    """Rows of 1 and 0: which values are in the first group; the observed arrangement first."""
    total = first + second
    if comb(total, first) <= MOST_ARRANGEMENTS:
        chosen = np.array(list(combinations(range(total), first)))
    else:
        order = np.random.default_rng(1935).permuted(np.tile(np.arange(total), (MOST_ARRANGEMENTS, 1)), axis=1)
        chosen = np.vstack([np.arange(first), [row for row in order[:, :first] if row.max() >= first]])
    rows = np.zeros((len(chosen), total))
    np.put_along_axis(rows, chosen, 1.0, axis=1)
    return rows


@functools.cache
def _signs(count: int) -> Floats:
    """Rows of 1 and -1: the signs of the differences; the observed ones, all 1, first."""
    if 2**count <= MOST_ARRANGEMENTS:
        return np.array(list(product((1.0, -1.0), repeat=count)))
    drawn = np.random.default_rng(1937).choice((1.0, -1.0), (MOST_ARRANGEMENTS, count))
    return np.vstack([np.ones(count), drawn[(drawn < 0).any(axis=1)]])


def _share_up_to(shifts: Floats, value: float) -> float:
    """The share of arrangements, the observed one among them, that are at least as extreme at this difference."""
    return float(1 + np.count_nonzero(shifts <= value)) / (1 + len(shifts))


def _interval(shifts: Floats) -> tuple[float | None, float | None]:
    """The differences that neither one-sided test rejects; None where there are too few arrangements."""
    beyond = floor(LEVEL * (1 + len(shifts)) + 1e-9) - 1
    if beyond < 0:
        return None, None
    ordered = np.sort(shifts)
    return float(ordered[beyond]), float(ordered[-1 - beyond])


def _more_repeats(a: Sequence[float], b: Sequence[float], margin: float, paired: bool) -> int | None:
    """How many repeats more would decide, were difference and spread as measured: the sooner of both decisions."""
    repeats = min(len(a), len(b))
    if repeats < 2:
        return FEWEST_TO_BE_EQUAL - repeats
    spread = variance(a) + variance(b)
    if paired and repeats >= PAIRS_FROM:
        spread = variance([one - other for one, other in zip(a, b, strict=True)])
    total = repeats_to_decide(fmean(a) - fmean(b), spread, margin, fewest=repeats + 1)
    return None if total is None else total - repeats


def repeats_to_decide(difference: float, spread: float, margin: float, fewest: int = 1) -> int | None:
    """How many repeats decide in 4 of 5 experiments, the sooner of both decisions; None: more than MOST_REPEATS.

    Args:
        difference: the true one.
        spread: variance of the difference of two single values.
        margin: differences smaller than this count as none.
        fewest: no smaller number is given.
    """
    distance, quantile = abs(difference), NormalDist().inv_cdf
    needed = []
    if distance > 0:
        size = quantile(1 - LEVEL / 2) + quantile(POWER)
        needed.append(max(FEWEST_TO_DIFFER, ceil(size**2 * spread / distance**2)))
    if distance < margin:
        needed.append(_repeats_to_be_equal(distance, spread, margin))
    total = max(fewest, min(needed, default=MOST_REPEATS + 1))
    return total if total <= MOST_REPEATS else None


def _repeats_to_be_equal(distance: float, spread: float, margin: float) -> int:
    """How many repeats show in 4 of 5 experiments that the difference is smaller than the margin, either way."""
    level, size = NormalDist().inv_cdf(1 - LEVEL), NormalDist().inv_cdf(1 - LEVEL) + NormalDist().inv_cdf(POWER)
    repeats = max(FEWEST_TO_BE_EQUAL, ceil(size**2 * spread / (margin - distance) ** 2))
    while spread and repeats <= MOST_REPEATS:
        found = NormalDist(distance, sqrt(spread / repeats))
        reach = margin - level * found.stdev
        if found.cdf(reach) - found.cdf(-reach) >= POWER:
            break
        repeats += 1
    return repeats
