"""The offered rate of a scorecard, and the failure domains it has to leave room for."""

import dataclasses

import pytest

from experiments.failover.rate import choose_rate, survived_per_s
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
