"""Each predictor in turn is drained, stopped, started again and put back, while clients go on."""

import time

from tests.harness.load import CAPACITY, SERVICE_TIME_S, Crowd, Rig, at_rest, real_rig
from tests.harness.measurements import record
from tests.harness.processes import Stage, wait_until

CLIENTS = 12  # 60 % of the 20 slots of two predictors


def upgrade(rig: Rig, stage: Stage, crowd: Crowd, index: int) -> int:
    """Drain, stop, start, ready; returns how many requests were in flight there when it was drained."""
    name = f"predict{index + 1}"
    in_flight = rig.router.order(name, "drain").json()[name]["load"]
    drained_at_s = time.monotonic()
    wait_until(lambda: rig.router.predictors("state")[index] == "drained")
    assert rig.predictors[index].stop() == 0
    rig.predictors[index] = stage.predictor(name, rig.ports[index], SERVICE_TIME_S)
    rig.predictors[index].addresses(1)
    wait_until(lambda: "recovered" in rig.router.events(name))
    assert crowd.answered_by(name, since_s=drained_at_s) == []
    assert rig.router.order(name, "ready").status == 200
    wait_until(lambda: rig.router.predictors("state")[index] in ("serving", "standby"))
    return int(in_flight)


def test_upgrade_of_each_predictor_in_turn_loses_nothing_at_60_percent_of_capacity(stage: Stage) -> None:
    """A drained predictor gets nothing new and finishes what it has: no request fails, not even to be re-sent."""
    rig = real_rig(stage)
    with Crowd(rig.router.url, rig.quiz, CLIENTS) as crowd:
        wait_until(lambda: crowd.answered_by("predict1") and crowd.answered_by("predict2"))
        finished = [upgrade(rig, stage, crowd, index) for index in range(3)]
        ready_at_s = time.monotonic()
        wait_until(lambda: all(crowd.answered_by(name, since_s=ready_at_s) for name in ("predict1", "predict2")))
    slowest_s = max(good.took_s for good in crowd.good)
    assert (crowd.lost, crowd.wrong) == ([], [])
    assert rig.router.predictors("failed") == [0, 0, 0]
    assert min(finished[:2]) > 0
    assert max(rig.router.predictors("peak_load")) <= CAPACITY
    at_rest(rig)
    total, added_s = len(crowd.good), slowest_s - SERVICE_TIME_S
    record("upgrade", lost=0, of=total, finished_while_draining=sum(finished), added_wait_s=added_s)
