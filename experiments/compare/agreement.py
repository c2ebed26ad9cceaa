"""Whether two topologies' rates at first failure differ by more than chance, and the words for it.

Criterion. Repeats decide where they can: a difference is called one when the two ranges do not overlap and that
would happen by chance, were both alike, in at most 5 % of experiments of that size (2 n! m! / (n+m)!, both orders
of two complete groups; from 4 runs of each on). Otherwise the difference of the medians is set beside the spread
that theory gives for it: half of the 5-95 % ranges of single runs, narrowed as a median of so many runs is (its
variance is about pi / (2 n + pi - 2) of one run's, for a normal spread), added as independent errors are.
"""

from dataclasses import dataclass
from math import hypot, pi, sqrt

from experiments.results.statistics import RunStats, chance_of_separation, ranges_separate
from experiments.theory.first_failure import Spread

AGREE = "agree"
DIFFER = "differ"
NOT_DECIDED = "not decided"


@dataclass(frozen=True)
class Measured:
    """What is compared of one topology: its slots, its rates at first failure, and theory's spread of one run."""

    topology: str
    slots: int
    rate_per_s: RunStats
    theory_per_s: Spread | None


@dataclass(frozen=True)
class Verdict:
    """One pair of topologies: agree, differ or not decided, and why, in words."""

    topologies: tuple[str, str]
    verdict: str
    difference_per_s: float
    single_runs_vary_by_per_s: float | None
    medians_vary_by_per_s: float | None
    sentence: str


def compare_pair(a: Measured, b: Measured) -> Verdict:
    """Set two topologies' rates at first failure beside each other."""
    difference = round(abs(a.rate_per_s.median - b.rate_per_s.median), 3)
    noise, single_noise = _noise_per_s(a, b, (a.rate_per_s.count, b.rate_per_s.count)), _noise_per_s(a, b, (1, 1))
    pairs = "single runs" if a.rate_per_s.count == b.rate_per_s.count == 1 else "such medians"
    by_chance = f"by theory, 9 in 10 pairs of {pairs} are up to {noise:.1f} apart by chance" if noise else ""
    if ranges_separate(a.rate_per_s, b.rate_per_s):
        chance = chance_of_separation(a.rate_per_s.count, b.rate_per_s.count)
        verdict, reason = DIFFER, f"the ranges do not overlap, which chance alone brings about in {chance:.1%} of cases"
    elif noise is None:
        verdict, reason = NOT_DECIDED, "too few runs, and no theory at these settings to say how far runs vary"
    elif difference <= noise:
        verdict, reason = AGREE, by_chance
    elif _expected_to_differ(a, b):
        verdict, reason = DIFFER, by_chance
    else:
        verdict, reason = NOT_DECIDED, f"{by_chance}, so this may be more than chance: repeat the runs"
    sentence = _sentence(a, b, verdict, difference, reason)
    pair = (a.topology, b.topology)
    return Verdict(pair, verdict, difference, _rounded(single_noise), _rounded(noise), sentence)


def _expected_to_differ(a: Measured, b: Measured) -> bool:
    """Whether slots, or theory's medians (those of another pace, say), give reason to expect a difference."""
    medians = {side.theory_per_s.median for side in (a, b) if side.theory_per_s is not None}
    return a.slots != b.slots or len(medians) > 1


def _noise_per_s(a: Measured, b: Measured, runs: tuple[int, int]) -> float | None:
    """Half the 5-95 % range of the difference of two medians of so many runs, by theory; None without one."""
    halves = []
    for side, count in zip((a, b), runs, strict=True):
        if side.theory_per_s is None:
            return None
        halves.append((side.theory_per_s.p95 - side.theory_per_s.p5) / 2 * sqrt(pi / (2 * count + pi - 2)))
    return hypot(*halves)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _sentence(a: Measured, b: Measured, verdict: str, difference: float, reason: str) -> str:
    slots = f"the same {a.slots} slots" if a.slots == b.slots else f"{a.slots} and {b.slots} slots"
    subject = f"{a.topology} and {b.topology} ({slots})"
    finding = f"Not decided: {subject}" if verdict == NOT_DECIDED else f"{subject} {verdict}"
    rates = f"{a.rate_per_s.median:.1f} and {b.rate_per_s.median:.1f} requests/s, {difference:.1f} apart"
    runs = f"medians of {a.rate_per_s.count} and {b.rate_per_s.count} runs"
    if a.rate_per_s.count == b.rate_per_s.count == 1:
        runs = "one run of each"
    return f"{finding}: {rates} ({runs}); {reason}.{_moral(a, b, verdict)}"


def _moral(a: Measured, b: Measured, verdict: str) -> str:
    if verdict == AGREE:
        return " This is no ranking: which of the two is ahead changes from run to run."
    if verdict == DIFFER and a.slots == b.slots:
        return " Equal slots should do alike, so look for a cause before reading this as a property of the layout."
    return ""
