"""The verdicts' rule: exact levels, power, intervals, and how many more repeats would do."""

import random
from itertools import combinations
from statistics import fmean

import pytest

from experiments.theory.verdicts import PAIRS_FROM, Judgement, Verdict, judge, next_look, repeats_to_decide

ONE_BELOW_FOUR = [0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]


def of(a: list[float], b: list[float], margin: float = 0.0, more_is_better: bool = True) -> Judgement:
    """The judgement on pairs."""
    return judge(a, b, margin, more_is_better=more_is_better)


def test_four_repeats_apart_are_worse_by_the_exact_share_of_arrangements() -> None:
    """Of the 70 ways to part eight values into two fours, one is as extreme in each direction."""
    found = of(*ONE_BELOW_FOUR)
    assert found.verdict is Verdict.WORSE
    assert found.p_value == pytest.approx(2 / 70)
    assert found.difference == -4.0
    assert of(*ONE_BELOW_FOUR, more_is_better=False).verdict is Verdict.BETTER


def test_three_repeats_apart_decide_no_difference() -> None:
    """2 of 20 arrangements are one in ten: too many."""
    found = of([0.0, 1.0, 2.0], [10.0, 11.0, 12.0])
    assert (found.verdict, found.p_value, found.more_repeats) == (Verdict.NOT_DECIDED, pytest.approx(0.1), 1)


def test_p_value_counts_every_arrangement_at_least_as_extreme() -> None:
    """The closed computation agrees with the plain count over all arrangements, ties included."""
    a, b = [3.0, 1.0, 4.0, 1.0, 5.0], [2.0, 7.0, 1.0, 8.0, 2.0]
    values, observed = a + b, fmean(a) - fmean(b)
    differences = []
    for chosen in combinations(range(10), 5):
        first = [values[index] for index in chosen]
        differences.append(fmean(first) * 2 - sum(values) / 5)
    as_extreme = sum(each <= observed + 1e-12 for each in differences)
    assert of(a, b).p_value == pytest.approx(2 * as_extreme / len(differences))


def test_interval_holds_what_one_sided_tests_do_not_reject() -> None:
    """Once an end of the interval is taken off, chance makes such a difference in more than one case in twenty."""
    a, b = [9.0, 12.0, 11.0, 15.0], [2.0, 5.0, 4.0, 1.0]
    found = of(a, b)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.difference < found.high
    beyond = of([each - found.low + 1e-6 for each in a], b)
    within = of([each - found.low - 1e-6 for each in a], b)
    assert beyond.p_value / 2 <= 0.05 < within.p_value / 2


def test_three_repeats_that_are_alike_are_equal() -> None:
    """One of 20 arrangements in each direction is 5 %."""
    found = of([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], margin=0.5)
    assert found == Judgement(Verdict.EQUAL, 0.0, 0.0, 0.0, 1.0, 0.5, None)
    assert of([0.0, 0.0], [0.0, 0.0], margin=0.5).verdict is Verdict.NOT_DECIDED


def test_difference_as_great_as_the_margin_is_not_equal() -> None:
    """Equal means smaller than the margin; of no margin nothing is smaller."""
    assert of([0.5] * 5, [0.0] * 5, margin=0.5).verdict is Verdict.BETTER
    assert of([0.0] * 5, [0.0] * 5, margin=0.0).verdict is Verdict.NOT_DECIDED


def test_sure_difference_within_the_margin_is_equal() -> None:
    """It is there, and too small to matter."""
    assert of([1.1, 1.2, 1.1, 1.2], [1.0, 1.01, 1.0, 1.02], margin=0.5).verdict is Verdict.EQUAL


def test_pairs_tell_apart_what_groups_do_not() -> None:
    """From 8 repeats on what both have in common in a repeat does not hide the difference."""
    common = [float(10 * number) for number in range(PAIRS_FROM)]
    a, b = [each + 1 + number % 2 for number, each in enumerate(common)], common
    assert of(a, b).verdict is Verdict.BETTER
    assert judge(a, b, 0.0, more_is_better=True, paired=False).verdict is Verdict.NOT_DECIDED


def test_two_runs_of_unequal_size_are_judged_as_groups() -> None:
    """A difference between run folders has no pairs."""
    found = judge([1.0, 2.0], [5.0, 6.0, 7.0, 8.0, 9.0, 10.0], 0.0, more_is_better=False, paired=False)
    assert found.verdict is Verdict.NOT_DECIDED
    assert found.p_value == pytest.approx(2 / 28)


def test_many_repeats_are_judged_by_drawn_arrangements() -> None:
    """More arrangements than can be counted: the same answer, and the same each time."""
    a, b = [float(number % 7) for number in range(40)], [float(number % 7) + 2 for number in range(40)]
    assert of(a, b) == of(a, b)
    assert of(a, b).verdict is Verdict.WORSE
    assert judge(a, b, 0.0, more_is_better=True, paired=False).verdict is Verdict.WORSE


def test_more_repeats_decide_as_often_as_they_say() -> None:
    """With as many repeats more as are asked for, at the spread and difference seen, most experiments decide."""
    drawn = random.Random(7)
    a, b = [[drawn.gauss(mean, 1.0) for _ in range(6)] for mean in (0.9, 0.0)]
    found = of(a, b)
    assert found.verdict is Verdict.NOT_DECIDED
    assert found.more_repeats is not None
    repeats = 6 + found.more_repeats
    apart = fmean(a) - fmean(b)
    spread = (sum((each - fmean(side)) ** 2 for side in (a, b) for each in side) / 10) ** 0.5
    again = [
        of([drawn.gauss(apart, spread) for _ in range(repeats)], [drawn.gauss(0.0, spread) for _ in range(repeats)])
        for _ in range(100)
    ]
    assert 65 <= sum(each.verdict is Verdict.BETTER for each in again) <= 95


def test_repeats_to_decide_show_equality_as_often_as_they_say() -> None:
    """Without any difference two sides of the margin are to be kept: that takes more repeats than one."""
    drawn, repeats = random.Random(3), repeats_to_decide(0.0, spread=2.0, margin=1.5)
    assert repeats == 8
    again = [
        judge([drawn.gauss(0, 1) for _ in range(repeats)], [drawn.gauss(0, 1) for _ in range(repeats)], 1.5,
              more_is_better=True)
        for _ in range(200)
    ]  # fmt: skip
    assert 140 <= sum(each.verdict is Verdict.EQUAL for each in again) <= 180


def test_hopeless_comparison_names_no_number() -> None:
    """Without a margin and a difference no number of repeats would do; after one repeat the fewest are named."""
    assert of([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]).more_repeats is None
    assert of([1.0], [2.0]).more_repeats == 2


def test_looks_come_after_a_third_more_repeats() -> None:
    """Often at first, seldom later."""
    looks = [next_look(0)]
    while len(looks) < 8:
        looks.append(next_look(looks[-1]))
    assert looks == [3, 4, 5, 6, 8, 10, 13, 17]


@pytest.mark.parametrize(
    ("a", "b", "margin", "text"),
    [
        ([], [1.0], 0.0, "values"),
        ([1.0], [1.0, 2.0], 0.0, "in pairs"),
        ([1.0], [1.0], -1.0, "margin is -1.0"),
    ],
)
def test_values_out_of_range_are_refused(a: list[float], b: list[float], margin: float, text: str) -> None:
    """The error names value and range."""
    with pytest.raises(ValueError, match=text):
        of(a, b, margin)
