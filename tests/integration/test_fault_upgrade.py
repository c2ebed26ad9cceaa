"""Each predictor in turn is drained, stopped, started again and put back, while clients go on."""

import time

from tests.harness.deployment import Deployment
from tests.harness.load import CAPACITY, SERVICE_TIME_S, Load
from tests.harness.measurements import record
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

CLIENTS = 12  # 60 % of the 20 slots of two predictors


def upgrade(deployed: Deployment, load: Load, index: int) -> int:
    """Drains, stops, starts, puts back; returns how many requests were in flight there when it was drained."""
    name = f"predict{index + 1}"
    in_flight = deployed.router.order(name, "drain").json()[name]["load"]
    drained_at_s = time.monotonic()
    wait_until(lambda: deployed.router.predictors("state")[index] == "drained")
    assert deployed.processes[index].stop() == 0
    deployed.restart(index)
    wait_until(lambda: "recovered" in deployed.router.events(name))
    assert load.answered_by(name, since_s=drained_at_s) == []
    assert deployed.router.order(name, "ready").status == 200
    wait_until(lambda: deployed.router.predictors("state")[index] in ("serving", "standby"))
    return int(in_flight)


def test_upgrade_of_each_predictor_in_turn_loses_nothing_at_60_percent_of_capacity(stage: Stage) -> None:
    """A drained predictor gets nothing new and finishes what it has: no request fails, not even to be re-sent."""
    deployed = stage.deploy_predictors()
    with deployed.closed_loop(CLIENTS) as load:
        wait_until(lambda: load.answered_by("predict1") and load.answered_by("predict2"))
        finished = [upgrade(deployed, load, index) for index in range(3)]
        ready_at_s = time.monotonic()
        wait_until(lambda: all(load.answered_by(name, since_s=ready_at_s) for name in ("predict1", "predict2")))
    assert (load.lost(), load.wrong()) == ([], [])
    assert deployed.router.predictors("failed") == [0, 0, 0]
    assert min(finished[:2]) > 0
    assert max(deployed.router.predictors("peak_load")) <= CAPACITY
    deployed.wait_until_initial()
    total, added_s = len(load.good()), load.slowest_s() - SERVICE_TIME_S
    record("upgrade", lost=0, of=total, finished_while_draining=sum(finished), added_wait_s=added_s)
