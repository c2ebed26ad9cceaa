"""How often the verdicts err and decide: the promises of the rule, in a small simulation."""

import pytest

from experiments.theory.verdicts import Verdict
from tools.verdicts import LARGE, MARGIN, SHAPES, simulate, simulate_until_decided, tables

EXPERIMENTS = 600
SAMPLING = 0.03
"""A share of 5 % of so many experiments varies by less than this in 999 of 1000."""


@pytest.mark.parametrize("common", [0.0, 0.5])
@pytest.mark.parametrize("repeats", [4, 5, 8, 10])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_more_than_one_in_twenty_verdicts_is_false(shape: str, repeats: int, common: float) -> None:
    """No difference is called one, and one of the margin's size is called equal, in at most 5 % of experiments."""
    none, margin = (simulate(shape, repeats, EXPERIMENTS, common, 1, each) for each in (0.0, MARGIN))
    assert none[Verdict.BETTER] + none[Verdict.WORSE] <= 0.05 + SAMPLING
    assert margin[Verdict.EQUAL] <= 0.05 + SAMPLING


def test_two_standard_deviations_are_called_in_most_experiments() -> None:
    """With five repeats in three of four at least, and with more repeats more often."""
    power = [simulate("normal", repeats, EXPERIMENTS, 0.0, 1, LARGE)[Verdict.BETTER] for repeats in (5, 6, 8, 10)]
    assert power[0] >= 0.75
    assert power == sorted(power)


def test_going_on_until_decided_does_not_let_chance_decide() -> None:
    """Two looks running keep false verdicts at one in twenty though it is looked often."""
    none, margin = (simulate_until_decided("normal", EXPERIMENTS, 1, each) for each in (0.0, MARGIN))
    assert none[Verdict.BETTER] + none[Verdict.WORSE] <= 0.05 + SAMPLING
    assert margin[Verdict.EQUAL] <= 0.05 + SAMPLING


def test_more_repeats_find_more_equal() -> None:
    """The share of true equals that are called so grows: the old rule never called any."""
    found = [simulate("normal", repeats, EXPERIMENTS, 0.0, 1, 0.0)[Verdict.EQUAL] for repeats in (5, 10, 20)]
    assert found == sorted(found)
    assert found[-1] > 0.7


def test_tables_have_a_row_for_every_number_of_repeats() -> None:
    """Both are Markdown: a head, a line below it, and as many cells in every row."""
    lines = list(tables(20, 1))
    blank = lines.index("")
    assert {line.count("|") for line in lines if line} == {7}
    assert blank == 2 + 7 * (len(SHAPES) + 1)
    assert len(lines) == blank + 1 + 2 + len(SHAPES)
