"""The offered rate of a scorecard, and the failure domains it has to leave room for."""

import dataclasses

import pytest

from experiments.failover.rate import choose_rate, n_plus_1_rate, survived_per_s
from experiments.failover.records import DomainPlan
from tests.unit.experiments.failover.hand_written import REGIONS, SINGLE, THREE, TWO


@pytest.mark.parametrize(
    ("plan", "domain"),
    [(SINGLE, ["predict1"]), (TWO, ["predict1"]), (REGIONS, ["a1", "a2"])],
    ids=["single", "2active", "2region"],
)
def test_largest_domain_is_a_region_or_a_predictor(plan: DomainPlan, domain: list[str]) -> None:
    """A region where entries name one, else one predictor; one with an active in it."""
    assert plan.largest_domain() == domain


def test_largest_domain_goes_by_slots() -> None:
    """Predictors of unequal capacity: the largest counts."""
    plan = dataclasses.replace(THREE, capacities={"predict1": 5, "predict2": 20, "predict3": 5})
    assert plan.largest_domain() == ["predict2"]


def test_rate_is_half_of_what_the_weakest_survives() -> None:
    """Erlang B at 1 %: 4.46 erlangs for 10 slots, 12.03 for 20; the lowest half is offered to all, and named."""
    assert survived_per_s(10, 0.2) == pytest.approx(4.46 / 0.2, rel=1e-2)
    rate_per_s, reason = choose_rate([SINGLE, TWO, THREE], 0.2)
    assert rate_per_s == pytest.approx(11.15, abs=0.02)
    assert "single survives up" in reason
    assert "nothing left" in reason
    rate_per_s, reason = choose_rate([THREE], 0.2)
    assert rate_per_s == pytest.approx(12.03 / 0.2 / 2, abs=0.05)
    assert "with its largest predictor down (20 slots" in reason


def test_rate_lets_a_standby_step_back() -> None:
    """A topology with many standbys survives more than its actives carry calmly: three tenths of their slots."""
    rate_per_s, reason = choose_rate([REGIONS], 0.2)
    assert rate_per_s == pytest.approx(0.3 * REGIONS.slots_of(REGIONS.actives) / 0.2)
    assert "step back" in reason


def test_n_plus_1_is_what_the_largest_survives_with_one_down() -> None:
    """Erlang B at 1 %: 12.03 erlangs for the 20 slots that three predictors have left; offered to single too."""
    rate_per_s, reason = require_rate([SINGLE, TWO, THREE], at_once=3)
    assert rate_per_s == pytest.approx(12.03 / 0.2, abs=0.05)
    assert reason.startswith("the most that 2active survives with its largest predictor down (20 slots")
    assert "cut" not in reason


def test_n_plus_1_leaves_the_largest_predictor_out() -> None:
    """Of predictors of unequal capacity the largest is the one that is down."""
    plan = dataclasses.replace(THREE, capacities={"predict1": 5, "predict2": 20, "predict3": 5})
    assert require_rate([plan], at_once=1)[0] == pytest.approx(survived_per_s(10, 0.2), abs=0.01)


def test_n_plus_1_is_cut_to_what_the_machine_carries() -> None:
    """300/s over all runs side by side; the reason says so."""
    rate_per_s, reason = require_rate([REGIONS], at_once=6)
    assert rate_per_s == 50.0
    assert "cut to what this machine is taken to carry: 300/s over 6 runs side by side" in reason


def test_n_plus_1_of_lone_predictors_is_none() -> None:
    """With one down nothing is left of a lone predictor."""
    assert n_plus_1_rate([SINGLE], 0.2, 1) is None


def require_rate(plans: list[DomainPlan], at_once: int) -> tuple[float, str]:
    """The rate at a service time of 0.2 s, which there must be."""
    found = n_plus_1_rate(plans, 0.2, at_once)
    assert found is not None
    return found
