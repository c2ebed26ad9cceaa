"""More predictors crash than the standby can replace: both actives at once, then all."""

import signal
import time

from tests.harness.deployment import Deployment
from tests.harness.http_client import Answer, fetch
from tests.harness.load import CAPACITY, SERVICE_TIME_S
from tests.harness.measurements import record
from tests.harness.processes import Process
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

REFUSED_WITHIN_S = 0.1
SERVES_WITHIN_S = 2.0
BURST = 30  # three times the standby's capacity
TRIES = 3  # of which the best counts: other programs share the machine


def kill_at_once(predictors: list[Process]) -> None:
    """Stops all, then kills them: a request that two of them ran and died of would rightly be answered 502."""
    for predictor in predictors:
        predictor.signal(signal.SIGSTOP)
    for predictor in predictors:
        predictor.kill()


def test_both_actives_crash_at_once_and_the_standby_alone_serves(stage: Stage) -> None:
    """Nothing is lost while the standby has room; what is beyond it hears 503 saturated, and nothing else."""
    deployed = stage.deploy_echo()
    with deployed.load() as load:
        wait_until(lambda: load.answered_by("predict1") and load.answered_by("predict2"))
        wait_until(lambda: all(deployed.router.loads()[:2]))
        kill_at_once(deployed.processes[:2])
        killed_at_s = time.monotonic()
        wait_until(lambda: len(load.answered_by("predict3", since_s=killed_at_s)) > 20)
        assert deployed.router.predictors("state") == ["down", "down", "serving"]
    assert (load.lost(), load.wrong()) == ([], [])
    answers = deployed.fetch_at_once(BURST)
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.refusal() for answer in refused} == {(503, "saturated")}
    assert all("retry-after" in answer.headers for answer in refused)
    assert len(answers) - len(refused) >= CAPACITY
    assert deployed.router.predictors("peak_load")[2] == CAPACITY
    added_s = load.slowest_s() - SERVICE_TIME_S
    record("both actives crash", lost=0, of=len(load.answers), added_wait_s=added_s, saturated=len(refused))
    deployed.restart(0, 1)
    deployed.wait_until_initial()


def refusals(deployed: Deployment) -> list[Answer]:
    """Asks twenty times in a row while nobody is up."""
    answers = [deployed.fetch() for _ in range(20)]
    assert {answer.refusal() for answer in answers} == {(503, "down")}
    assert all("retry-after" in answer.headers for answer in answers)
    return answers


def test_all_down_refuses_at_once_and_serves_again_when_the_first_is_back(stage: Stage) -> None:
    """With nobody up every client hears 503 down within 0.1 s; 2 s after one is up again, it serves."""
    deployed = stage.deploy_echo()
    for predictor in deployed.processes:
        predictor.kill()
    wait_until(lambda: deployed.router.predictors("state") == ["down"] * 3)
    rounds = [max(answer.took_s for answer in refusals(deployed)) for _ in range(TRIES)]
    assert fetch(deployed.url, "/health").status == 503
    deployed.restart(1)
    up_at_s = time.monotonic()
    wait_until(lambda: deployed.fetch(None).status == 200)
    serves_after_s = time.monotonic() - up_at_s - SERVICE_TIME_S
    with deployed.load() as load:
        deployed.restart(0, 2)
        wait_until(lambda: load.answered_by("predict1"))
    record("all down", refused_within_s=min(rounds), serves_again_after_s=serves_after_s)
    assert (load.lost(), load.wrong()) == ([], [])
    assert min(rounds) < REFUSED_WITHIN_S
    assert serves_after_s < SERVES_WITHIN_S
    deployed.wait_until_initial()
