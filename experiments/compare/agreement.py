"""Whether two topologies differ in their rate at first failure, and what so many runs of each could have shown.

The runs decide (experiments/theory/verdicts.py). Beside the verdict stands how far theory says that runs vary: where
there are few, it is all that there is to go by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot, sqrt
from statistics import NormalDist, fmean

from experiments.theory.first_failure import Spread
from experiments.theory.power import detectable_difference, slots_apart
from experiments.theory.verdicts import FEWEST_TO_DIFFER, Judgement, judge, repeats_to_decide


@dataclass(frozen=True)
class Rates:
    """The rates at first failure of one topology, and what is unusual about them."""

    topology: str
    slots: int
    latency_s: float
    by_repeat: Mapping[int, float]
    theory: Spread | None
    """What theory expects of one run."""
    remarks: Sequence[str] = ()
    """Sentences, each without its full stop."""
    router: str = ""
    """Of its plan."""

    @property
    def runs(self) -> int:
        """How many have a rate."""
        return len(self.by_repeat)

    @property
    def mean(self) -> float:
        """Over the runs."""
        return fmean(self.by_repeat.values())


@dataclass(frozen=True)
class Comparison:
    """Two topologies beside each other."""

    a: Rates
    b: Rates
    judgement: Judgement
    """The verdict of the runs on the first beside the second."""

    @property
    def runs(self) -> int:
        """How many there are of each, at least."""
        return min(self.a.runs, self.b.runs)

    @cached_property
    def deviation(self) -> float | None:
        """The standard deviation of the difference of two single runs, by theory; None without theory."""
        if self.a.theory is None or self.b.theory is None:
            return None
        return hypot(self.a.theory.deviation, self.b.theory.deviation)

    def vary_by(self, runs: int) -> float | None:
        """By theory, 9 in 10 pairs of means of so many runs are no further apart by chance; None without theory."""
        return None if self.deviation is None else NormalDist().inv_cdf(0.95) * self.deviation / sqrt(runs)

    @property
    def is_beyond_chance(self) -> bool:
        """Whether theory lets the means of so many runs be this far apart in 1 of 10 cases at most."""
        by_chance = self.vary_by(self.runs)
        return by_chance is not None and abs(self.judgement.difference) > by_chance

    @property
    def more_repeats(self) -> int | None:
        """How many repeats more would decide: by the spread of the runs, of too few for that by theory's."""
        theory_a, theory_b = self.a.theory, self.b.theory
        if self.runs >= FEWEST_TO_DIFFER or self.deviation is None or theory_a is None or theory_b is None:
            return self.judgement.more_repeats
        expected = theory_a.median - theory_b.median
        needed = repeats_to_decide(expected, self.deviation**2, self.judgement.margin, fewest=self.runs + 1)
        return None if needed is None else needed - self.runs

    @cached_property
    def detectable(self) -> float | None:
        """By theory, the true difference that so many runs call one in 4 of 5 experiments; None: they cannot."""
        return None if self.deviation is None else detectable_difference(self.deviation, self.runs)

    @property
    def detectable_slots(self) -> int | None:
        """How many slots that is, of topologies with equally many."""
        return None if self.detectable is None else self._slots(self.detectable)

    @property
    def margin_slots(self) -> int | None:
        """How many slots make more than the margin, of topologies with equally many."""
        return self._slots(self.judgement.margin)

    def _slots(self, difference_per_s: float) -> int | None:
        if self.a.slots != self.b.slots or self.a.theory is None:
            return None
        return slots_apart(self.a.slots, self.a.theory.median, self.a.latency_s, difference_per_s)


def compare_pair(a: Rates, b: Rates, margin_percent: float) -> Comparison:
    """Sets two topologies beside each other; runs of one repeat are a pair, where both failed in the same repeats.

    `margin_percent`: differences below this share of the greater mean count as none.
    """
    repeats = sorted(a.by_repeat)
    paired = repeats == sorted(b.by_repeat)
    rates_a, rates_b = ([each.by_repeat[repeat] for repeat in sorted(each.by_repeat)] for each in (a, b))
    margin = margin_percent / 100 * max(a.mean, b.mean)
    return Comparison(a, b, judge(rates_a, rates_b, margin, more_is_better=True, paired=paired))
