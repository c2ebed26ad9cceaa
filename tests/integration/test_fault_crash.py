"""A predictor crashes while clients are waiting on it: SIGKILL of its process group."""

import time

from tests.harness.load import CAPACITY, SERVICE_TIME_S, QuizLoad, Rig, at_rest, real_rig
from tests.harness.measurements import record
from tests.harness.processes import Stage, wait_until

ADDED_WAIT_S = 0.3
STANDBY_ANSWERS_WITHIN_S = 0.3
IN_FLIGHT = 2  # of which the later one has just begun: it will be cut off
TRIES = 4


def crash_and_restart(rig: Rig, stage: Stage) -> tuple[QuizLoad, float]:
    """Kill predict1 under load, and start it again; returns the load and when the standby first answered, in s."""
    with QuizLoad(rig) as load:
        wait_until(lambda: load.answered_by("predict1") and load.answered_by("predict2"))
        wait_until(lambda: rig.router.loads()[0] >= IN_FLIGHT)
        killed_at_s = time.monotonic()
        rig.predictors[0].kill()
        wait_until(lambda: load.answered_by("predict3"))
        rig.predictors[0] = stage.predictor("predict1", rig.ports[0], SERVICE_TIME_S)
        at_rest_after_restart(rig, load)
    first_s = min(answer.sent_at_s + answer.took_s for answer in load.answered_by("predict3"))
    return load, first_s - killed_at_s


def at_rest_after_restart(rig: Rig, load: QuizLoad) -> None:
    """Wait until predict1 answers again and the standby has stepped back."""
    started_s = time.monotonic()
    rig.predictors[0].addresses(1)
    wait_until(lambda: load.answered_by("predict1", since_s=started_s))
    wait_until(lambda: rig.router.predictors("status") == [True, True, False])


def test_crash_of_an_active_with_requests_in_flight_is_not_noticed(stage: Stage) -> None:
    """No request is lost; what was in flight waits at most 0.3 s more; the standby has answered within 0.3 s.

    Losing none holds in every try; the two times hold in one of up to four, as other programs share the machine.
    """
    rig = real_rig(stage)
    total, added_s, standby_s = 0, float("inf"), float("inf")
    for _ in range(TRIES):
        load, standby_after_s = crash_and_restart(rig, stage)
        assert (load.lost(), load.wrong()) == ([], [])
        total += len(load.answers)
        added_s, standby_s = min(added_s, load.worst_added_wait_s()), min(standby_s, standby_after_s)
        cut_off = rig.router.predictors("failed")[0]
        if cut_off and added_s <= ADDED_WAIT_S and standby_s <= STANDBY_ANSWERS_WITHIN_S:
            break
    at_rest(rig)
    record("crash", lost=0, of=total, cut_off=cut_off, added_wait_s=added_s, standby_answers_after_s=standby_s)
    assert cut_off >= 1  # or nothing was in flight
    assert added_s <= ADDED_WAIT_S
    assert standby_s <= STANDBY_ANSWERS_WITHIN_S
    assert max(rig.router.predictors("peak_load")) <= CAPACITY
