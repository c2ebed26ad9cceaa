"""What theory expects beside each cell of the scorecard."""

from dataclasses import replace
from typing import Any

import pytest

from experiments.failover.faults import FAULTS
from experiments.failover.predictions import CellPrediction, predict_cell
from experiments.failover.records import DomainPlan, FailoverSettings, OfferedLoad
from experiments.testbed.programs import LEAST_DEADLINE_S

START_S = (1.5, 2.0, 2.5)
CALM = OfferedLoad("calm", 11.0, "for a test", [])
N_PLUS_1 = OfferedLoad("n+1", 60.0, "for a test", [])


def plan_of(actives: int, standbys: int = 0, cold: bool = False, regions: bool = False) -> DomainPlan:
    """So many predictors of ten slots."""
    roles = {f"p{number}": "active" if number < actives else "standby" for number in range(actives + standbys)}
    standing_by = [name for name, role in roles.items() if role == "standby"]
    return DomainPlan(
        name="test",
        capacities=dict.fromkeys(roles, 10),
        roles=roles,
        regions=dict.fromkeys(roles, "A") if regions else {},
        hosts={name: name for name in roles} if regions else {},
        cold=standing_by if cold else [],
    )


SETTINGS = FailoverSettings(
    experiment="failover",
    command="",
    started_at="",
    topologies=[],
    faults=[],
    repeats=1,
    seed=1,
    rate_per_s=11.0,
    rate_reason="",
    pacing_s=20.0,
    service_time_s=0.2,
    threshold=10,
    hold_down_s=5.0,
    repair_after_s=3.0,
    window_s=10.0,
    capacity_service_time_s=1.0,
    capacity_spawn_rate_per_s=0.0,
    capacity_wait_s=[1.0, 5.0],
    supervised=True,
    machine={},
    versions={},
)


def predicted(fault: str, plan: DomainPlan, windows: int = 1, load: OfferedLoad = CALM, **more: Any) -> CellPrediction:
    """The prediction of a cell that must have one."""
    prediction = predict_cell(SETTINGS, plan, load, fault, windows, START_S, **more)
    assert prediction is not None
    return prediction


UNKNOWN = {"truncated", "reset", "flapping", "black hole", "saturation"}
"""What theory does not know."""


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - UNKNOWN))
def test_every_fault_is_predicted(fault: str) -> None:
    """A fault whose file names no effect would have an empty cell."""
    prediction = predicted(fault, plan_of(2, 1, regions=True))
    assert prediction.lost.p5 <= prediction.lost.median <= prediction.lost.p95


def test_more_windows_are_predicted_as_their_sum() -> None:
    """Nine windows lose nine times as much as one, within a range that grows by less."""
    one, nine = predicted("crash", plan_of(1)), predicted("crash", plan_of(1), windows=9)
    assert nine.windows == 9
    assert nine.lost.median == pytest.approx(9 * one.lost.median, rel=0.05)
    assert nine.lost.p95 - nine.lost.p5 < 5 * (one.lost.p95 - one.lost.p5)


def test_vanished_host_delays_what_it_got_and_loses_nothing_beside_another() -> None:
    """What is in flight, and what comes until it is out, is late; a crash tells at once."""
    plan = plan_of(2, 1, regions=True)
    host, crash = predicted("host", plan), predicted("crash", plan)
    assert host.lost.p95 == 0
    assert host.delayed.p5 > crash.delayed.p95


def test_vanished_lone_server_loses_what_a_crash_does_and_keeps_it_waiting() -> None:
    """Until it is back nobody else is there."""
    lone = plan_of(1, regions=True)
    assert predicted("host", lone).lost.contains(11.0 * (3 + 2 + 0.75 + 0.2))


def test_crash_of_a_lone_server_is_rate_times_outage() -> None:
    """3 s until the repair, 2 s to start, 0.75 s until two checks have passed, and what is in flight."""
    assert predicted("crash", plan_of(1)).lost.contains(11.0 * (3 + 2 + 0.75 + 0.2))


def test_slower_answers_than_the_service_time_lose_more() -> None:
    """Slots are held as long as an answer takes on this machine."""
    slow = predicted("crash", plan_of(3), load=N_PLUS_1, answer_s=0.3)
    assert slow.lost.p5 > predicted("crash", plan_of(3), load=N_PLUS_1).lost.p95


def test_cold_standby_loses_more_than_a_warm_one() -> None:
    """Until it has been started."""
    warm, cold = predicted("crash", plan_of(1, 1)), predicted("crash", plan_of(1, 1, cold=True))
    assert warm.lost.p95 < cold.lost.p5 < predicted("crash", plan_of(1)).lost.p5


def test_cold_standby_that_starts_slowly_may_serve_already_as_a_fault_strikes() -> None:
    """The greater load has wanted it since before: with it there, a slow predictor costs next to nothing."""
    cold, none = (
        predict_cell(SETTINGS, plan, N_PLUS_1, "slow", 1, [20.0]) for plan in (plan_of(2, 1, cold=True), plan_of(2))
    )
    assert cold is not None
    assert none is not None
    assert cold.lost.median < none.lost.median / 4


def test_nothing_is_predicted_where_there_is_nothing_to_predict() -> None:
    """A router that was stopped and started, a fault that does not apply, another engine, no service time, no start."""
    plan = plan_of(2)
    assert predict_cell(replace(SETTINGS, supervised=False), plan, CALM, "router restart", 1, START_S) is None
    assert predict_cell(SETTINGS, plan, CALM, "region", 1, START_S) is None
    assert predict_cell(replace(SETTINGS, engine="haproxy"), plan, CALM, "crash", 1, START_S) is None
    assert predict_cell(replace(SETTINGS, service_time_s=0.0), plan, CALM, "crash", 1, START_S) is None
    assert predict_cell(SETTINGS, plan, CALM, "crash", 1, []) is None
    assert predict_cell(SETTINGS, plan, CALM, "hang", 1, []) is not None


def test_crash_of_the_router_loses_what_it_carries_and_its_restart_nothing() -> None:
    """Rate times service time with Flask; HAProxy carries the requests itself, and goes on."""
    plan, in_flight = plan_of(2, 1), 9 * CALM.rate_per_s * SETTINGS.service_time_s
    lost = {fault: predicted(fault, plan, windows=9).lost for fault in ("router restart", "router crash")}
    assert lost["router crash"].median == pytest.approx(in_flight, rel=0.15)
    assert lost["router restart"].p95 == 0
    for fault in lost:
        by_haproxy = predict_cell(replace(SETTINGS, engine="haproxy"), plan, CALM, fault, 9, START_S)
        assert by_haproxy is not None
        assert by_haproxy.lost.p95 == 0


def test_without_resending_what_was_in_flight_is_lost() -> None:
    """As the run's own routers were told."""
    settings = replace(SETTINGS, resend=False)
    prediction = predict_cell(settings, plan_of(3), CALM, "crash", 20, START_S)
    assert prediction is not None
    assert prediction.lost.p5 > predicted("crash", plan_of(3), windows=20).lost.p95


def test_deadline_is_that_of_the_experiments_routers() -> None:
    """Two places name it, for figures import nothing of the test bed."""
    from experiments.failover import predictions

    assert predictions.LEAST_DEADLINE_S == LEAST_DEADLINE_S
