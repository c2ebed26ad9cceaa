"""The swarm's own simulation of the first failure, beside the one of the experiments."""

import json
import subprocess
import sys

import pytest

from experiments.theory.first_failure import predict_first_failure
from tests.harness.project import ROOT

SYSTEMS = [
    (10, 1.0, 1.0, None),
    (10, 1.0, 1.0, 22.0),
    (12, 1.013, 2.5, None),
    (20, 0.5, 5.0, None),
]
WAIT_S, MAX_USERS = (1.0, 5.0), 150
QUANTILE_ERRORS = 4.0
"""Of a 5 % quantile of 1,000 normal runs the standard error is 0.067 standard deviations, a range 3.29 of them."""


def printed(*words: str) -> str:
    """What Python prints with these words: the simulation is a process of its own, which needs no Locust."""
    done = subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=30)
    return done.stdout.strip()


@pytest.mark.parametrize(("slots", "service_time_s", "spawn_rate_per_s", "run_time_s"), SYSTEMS)
def test_simulated_range_agrees_with_the_experiments_theory(
    slots: int, service_time_s: float, spawn_rate_per_s: float, run_time_s: float | None
) -> None:
    """Both simulations of one loss system give one range, to within the sampling error of the quantiles."""
    system = {"slots": slots, "service_time_s": service_time_s, "spawn_rate_per_s": spawn_rate_per_s}
    limits = {"wait_s": WAIT_S, "max_users": MAX_USERS, "run_time_s": run_time_s}
    p5, p95 = json.loads(printed("locust/loss_system.py", json.dumps(system | limits)))
    theory = predict_first_failure(
        slots, service_time_s, spawn_rate_per_s, WAIT_S, max_users=MAX_USERS, run_time_s=run_time_s
    )
    assert theory.rate_per_s is not None
    tolerance = QUANTILE_ERRORS * 0.067 * (theory.rate_per_s.p95 - theory.rate_per_s.p5) / 3.29 + 0.1  # steps of rates
    assert (p5, p95) == pytest.approx((theory.rate_per_s.p5, theory.rate_per_s.p95), abs=tolerance)


@pytest.mark.parametrize(("slots", "max_users"), [(30, 30), (3, 150)])
def test_system_without_a_rate_has_no_range(slots: int, max_users: int) -> None:
    """Too few users never fill the slots, and too many at once leave no time for a rate: there is no range."""
    system = {"slots": slots, "service_time_s": 1.0, "spawn_rate_per_s": 5.0, "wait_s": WAIT_S, "max_users": max_users}
    code = f"import loss_system as l; print(l.rate_range(l.System(**{system!r}), time_limit_s=0.2))"
    assert printed("-c", f"import sys; sys.path.insert(0, 'locust'); {code}") == "None"
