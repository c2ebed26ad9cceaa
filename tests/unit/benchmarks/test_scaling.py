"""What a core of each part carries, from given costs."""

import pytest

from benchmarks.scaling import Costs, layout, most_predictors

COSTS = Costs(router_s=0.0005, engine_s=0.00002, swarm_s=0.002, predictor_s=0.001, probe_s=0.0002)


def test_layout_takes_the_rate_from_erlang_b_and_cores_in_proportion_to_it() -> None:
    """Three predictors of 10 slots carry 20.34 erlangs with 1 % refused; probes cost the router besides."""
    made = layout(3, COSTS, 0.5)
    assert made.rate_per_s == pytest.approx(40.68, abs=0.02)
    assert made.users == round(made.rate_per_s * 3.5)
    assert made.router_cores == pytest.approx(made.rate_per_s * 0.0005 + 3 * 2 * 0.0002)
    assert made.swarm_cores == pytest.approx(made.rate_per_s * 0.002)


def test_most_predictors_is_the_last_pool_that_one_core_carries() -> None:
    """One more needs more than a core."""
    most = most_predictors(COSTS, 1.0, "router_cores")
    assert layout(most, COSTS, 1.0).router_cores <= 1.0 < layout(most + 1, COSTS, 1.0).router_cores
