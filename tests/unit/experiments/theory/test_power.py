"""What so many repeats can show, beside what the rule of verdicts does with simulated first failures."""

import functools

import numpy as np
import pytest

from experiments.theory.first_failure import predict_first_failure, spread_of
from experiments.theory.power import detectable_difference, slots_apart
from experiments.theory.simulation import Floats, LossSystem, simulate
from experiments.theory.verdicts import Verdict, judge

COMPARISONS = 400


@functools.cache
def first_failures(slots: int) -> Floats:
    """The rates at first failure of simulated runs at the post's pace."""
    return simulate(LossSystem(slots, 1.0, 1.0, run_time_s=190.0), 2000, seed=4)[2]


def share_of(verdict: Verdict, slots: int, runs: int) -> float:
    """How often so many runs of a topology get this verdict beside 30 slots, the margin being 10 %."""
    rng = np.random.default_rng(28)
    drawn = [
        (rng.choice(first_failures(slots), runs), rng.choice(first_failures(30), runs)) for _ in range(COMPARISONS)
    ]
    return sum(judge(*pair, 2.1, more_is_better=True).verdict is verdict for pair in drawn) / COMPARISONS


def detectable(runs: int) -> float:
    """The difference that so many runs of 30 slots each show."""
    found = detectable_difference(2**0.5 * spread_of(first_failures(30)).deviation, runs)
    assert found is not None
    return found


@pytest.mark.parametrize("runs", [4, 5, 7, 8, 10, 20])
def test_detectable_difference_is_called_one_in_four_of_five(runs: int) -> None:
    """What is said of so many runs is what the rule does with them."""
    rng, found = np.random.default_rng(7), 0
    for _ in range(COMPARISONS):
        a, b = rng.choice(first_failures(30), runs), rng.choice(first_failures(30), runs) - detectable(runs)
        found += judge(a, b, 0.0, more_is_better=True).verdict is Verdict.BETTER
    assert 0.70 <= found / COMPARISONS <= 0.88


def test_ten_runs_do_not_tell_28_slots_from_30_but_27() -> None:
    """Ten runs see 3 slots in 4 of 5 cases, and miss 2 too often to say that none is lost: as the sentence says."""
    assert slots_apart(30, 21.3, 1.0, detectable(10)) == 3
    assert share_of(Verdict.WORSE, 27, runs=10) >= 0.8
    assert 0.4 <= share_of(Verdict.WORSE, 28, runs=10) <= 0.75
    assert share_of(Verdict.EQUAL, 27, runs=10) <= 0.05, "three slots are more than the margin"


def test_slots_apart_agree_with_the_simulation() -> None:
    """Two slots fewer lower the rate at first failure by as much as the formula says."""
    all_up, two_fewer = (predict_first_failure(slots, 1.0, 1.0, replications=1000).rate_per_s for slots in (30, 28))
    assert all_up is not None
    assert two_fewer is not None
    assert slots_apart(30, all_up.median, 1.0, all_up.median - two_fewer.median) == 2


def test_slots_apart_of_more_than_there_are_is_none() -> None:
    """A rate cannot be lowered by more than it is."""
    assert slots_apart(2, 1.0, 1.0, 5.0) is None


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_detectable_difference_of_too_few_runs_is_none(runs: int) -> None:
    """Of three runs of each no arrangement is rare enough, however far apart they are."""
    assert detectable_difference(1.0, runs) is None
