"""Slots apart by the same arrivals: coverage, power and verdicts, by simulation of two loss systems on one schedule."""

import math
from functools import cache

import numpy as np
import pytest

from experiments.theory.erlang import erlang_b, erlangs_at_blocking
from experiments.theory.intervals import warm_up_arrivals
from experiments.theory.paired import (
    Estimate,
    add_up,
    judge_estimate,
    paired_difference,
    refused_share_per_slot,
    sample_to_decide,
    simulate_refused,
    student_t,
)
from experiments.theory.verdicts import Verdict

ARRIVALS, RUNS = 2_000, 200
FIRST_FAILURES, BEYOND = (0.01, 0.05), (0.20, 0.35, 0.51)
JITTER = 0.005
"""Mean of what an answer takes besides its service time of 1: without any, two systems alike refuse the same."""


@cache
def at_load(slots: int, blocking: float, seed: int = 7) -> tuple[Estimate, ...]:
    """What each simulated run says of so many slots beside 30, at the load at which 30 slots refuse that share."""
    random, load = np.random.default_rng(seed), erlangs_at_blocking(30, blocking)
    warm_up = warm_up_arrivals(load)
    moments = np.cumsum(random.exponential(1 / load, (RUNS, warm_up + ARRIVALS)), axis=1)
    refused = [
        simulate_refused(count, moments, 1 + random.exponential(JITTER, moments.shape))[:, warm_up:].astype(float)
        for count in (slots, 30)
    ]
    per_slot = ARRIVALS * refused_share_per_slot(slots, 30, load * (1 + JITTER))
    runs = zip(moments[:, warm_up:], refused[1] - refused[0], strict=True)
    return tuple(paired_difference(*each, 1.0).times(1 / per_slot) for each in runs)


def together(slots: int, blockings: tuple[float, ...]) -> list[Estimate]:
    """The mean of several loads, run by run."""
    columns = zip(*(at_load(slots, blocking) for blocking in blockings), strict=True)
    return [add_up(each).times(1 / len(blockings)) for each in columns]


def verdicts(slots: int, blockings: tuple[float, ...], margin: float = 1.0) -> list[Verdict]:
    """The verdict of every run."""
    return [judge_estimate(each, margin) for each in together(slots, blockings)]


@pytest.mark.parametrize("slots", [28, 29, 30])
@pytest.mark.parametrize("blockings", [FIRST_FAILURES, BEYOND, (0.05,), (0.20,)])
def test_interval_holds_the_true_difference_in_95_of_100_runs(slots: int, blockings: tuple[float, ...]) -> None:
    """Of two systems on one schedule; a little more often where slots are seldom free, never seldomer."""
    held = np.mean([each.interval(0.95).contains(slots - 30) for each in together(slots, blockings)])
    assert held >= 0.95 - 2.3 * math.sqrt(0.95 * 0.05 / RUNS)


@pytest.mark.parametrize("blocking", [0.05, 0.20])
def test_interval_is_no_wider_than_it_must_be(blocking: float) -> None:
    """The variance that blocks of time give is that between runs, at most half more."""
    runs = at_load(29, blocking)
    between = np.var([each.value for each in runs], ddof=1)
    assert np.mean([each.variance for each in runs]) == pytest.approx(between, rel=0.5)


def test_independent_requests_would_promise_too_much_or_too_little() -> None:
    """Two alike differ far less than independent runs do: that is what offering the same arrivals is for."""
    share = erlang_b(30, erlangs_at_blocking(30, 0.20))
    unpaired = 2 * ARRIVALS * share * (1 - share) / (ARRIVALS * refused_share_per_slot(30, 30, 33.84)) ** 2
    assert np.var([each.value for each in at_load(30, 0.20)]) < unpaired / 10


@pytest.mark.parametrize("blockings", [FIRST_FAILURES, BEYOND])
def test_lost_slot_is_told_from_none(blockings: tuple[float, ...]) -> None:
    """At the margin itself, 1 slot, 29 are called worse than 30 in 9 of 10 runs, never undecided; within 0.5 always."""
    lost = verdicts(29, blockings)
    assert lost.count(Verdict.WORSE) >= 0.9 * RUNS
    assert Verdict.NOT_DECIDED not in lost
    assert {*verdicts(29, blockings, margin=0.5)} == {Verdict.WORSE}
    assert {*verdicts(30, blockings, margin=0.5)} == {Verdict.EQUAL}
    assert verdicts(31, blockings).count(Verdict.BETTER) >= 0.9 * RUNS


def test_no_difference_is_seldom_called_one() -> None:
    """Without a margin that could make them equal, two alike are called better or worse in at most 5 % of the runs."""
    found = verdicts(30, FIRST_FAILURES, margin=1e-9)
    assert found.count(Verdict.NOT_DECIDED) >= 0.93 * RUNS


def test_two_exactly_alike_are_not_known_for_certain() -> None:
    """Not one request of difference leaves the chance of some: an interval of no width would claim too much."""
    found = paired_difference(np.arange(500.0), np.zeros(500), 1.0)
    assert found.value == 0
    assert found.interval(0.95).high >= 1.96


def test_sample_to_decide_takes_the_sooner_decision() -> None:
    """Near 0 it is equality that comes first, far from it a difference; at neither no sample does."""
    assert sample_to_decide(Estimate(0.0, 1.0, 10), 1.0) == pytest.approx(6.18, abs=0.01)
    assert sample_to_decide(Estimate(0.9, 1.0, 10), 1.0) == pytest.approx(7.849 / 0.81, abs=0.01)
    assert sample_to_decide(Estimate(0.0, 1.0, 10), 0.0) == math.inf


def test_add_up_adds_variances_and_weighs_freedom() -> None:
    """Of two alike twice the freedom; of one with all of the variance that one's."""
    assert add_up([Estimate(1.0, 2.0, 5), Estimate(3.0, 2.0, 5)]) == Estimate(4.0, 4.0, 10.0)
    assert add_up([Estimate(1.0, 1.0, 5), Estimate(3.0, 1e-9, 5)]).freedom == pytest.approx(5, rel=1e-6)
    with pytest.raises(ValueError, match="accepted"):
        add_up([])


def test_refused_share_per_slot_is_the_mean_between_two_numbers_of_slots() -> None:
    """Of equal ones that of the last slot; in either order the same."""
    assert refused_share_per_slot(30, 30, 25.0) == pytest.approx(erlang_b(29, 25.0) - erlang_b(30, 25.0))
    assert refused_share_per_slot(10, 30, 25.0) == pytest.approx((erlang_b(10, 25.0) - erlang_b(30, 25.0)) / 20)
    assert refused_share_per_slot(30, 10, 25.0) == refused_share_per_slot(10, 30, 25.0)
    with pytest.raises(ValueError, match="accepted"):
        refused_share_per_slot(0, 10, 25.0)


@pytest.mark.parametrize(("freedom", "expected"), [(2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (1e9, 1.960)])
def test_student_t_gives_the_published_values(freedom: float, expected: float) -> None:
    """Student's table, two-sided 5 %."""
    assert student_t(0.975, freedom) == pytest.approx(expected, rel=0.01)


def test_simulated_system_refuses_as_erlang_b_says() -> None:
    """And which request is refused follows from the moments alone: by hand, two slots and four requests."""
    moments = np.array([[0.0, 0.1, 0.2, 1.05]])
    assert simulate_refused(2, moments, np.ones((1, 4))).tolist() == [[False, False, True, False]]
    random = np.random.default_rng(3)
    moments = np.cumsum(random.exponential(1 / 6.0, (200, 2_200)), axis=1)
    refused = simulate_refused(10, moments, np.ones(moments.shape))[:, 200:]
    assert refused.mean() == pytest.approx(erlang_b(10, 6.0), rel=0.03)
