"""More predictors crash than the standby can replace: both actives at once, then all."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

from tests.harness.load import (
    CAPACITY,
    SERVICE_TIME_S,
    QuizLoad,
    Rig,
    at_rest,
    echo_process,
    echo_rig,
    try_to_ask,
)
from tests.harness.measurements import record
from tests.harness.processes import Answer, Process, Stage, ask, wait_until

REFUSED_WITHIN_S = 0.1
SERVES_WITHIN_S = 2.0
BURST = 30
TRIES = 3


def kill_at_once(predictors: list[Process]) -> None:
    """Stop all of them, then kill them: none is still running when the first one dies, so none is sent its requests.

    A request that two predictors ran, and that both died of, would rightly be answered 502.
    """
    for predictor in predictors:
        predictor.signal(signal.SIGSTOP)
    for predictor in predictors:
        predictor.kill()


def restart(rig: Rig, stage: Stage, *indices: int) -> None:
    """Start these predictors again and wait until they serve."""
    for index in indices:
        rig.predictors[index] = echo_process(stage, f"predict{index + 1}", rig.ports[index])
    for index in indices:
        rig.predictors[index].addresses(1)


def burst(rig: Rig) -> list[Answer]:
    """Send three times the standby's capacity at once."""
    with ThreadPoolExecutor(BURST) as pool:
        return list(pool.map(lambda _: try_to_ask(rig.router.url, rig.quiz.next()), range(BURST)))


def test_both_actives_crash_at_once_and_the_standby_alone_serves(stage: Stage) -> None:
    """Nothing is lost while the standby has room; what is beyond it hears 503 saturated, and nothing else."""
    rig = echo_rig(stage)
    with QuizLoad(rig) as load:
        wait_until(lambda: load.answered_by("predict1") and load.answered_by("predict2"))
        wait_until(lambda: all(rig.router.loads()[:2]))
        kill_at_once(rig.predictors[:2])
        killed_at_s = time.monotonic()
        wait_until(lambda: len(load.answered_by("predict3", since_s=killed_at_s)) > 20)
        assert rig.router.predictors("state") == ["down", "down", "serving"]
    assert (load.lost(), load.wrong()) == ([], [])
    answers = burst(rig)
    refused = [answer for answer in answers if answer.status != 200]
    assert {(answer.status, answer.json()["reason"]) for answer in refused} == {(503, "saturated")}
    assert all("retry-after" in answer.headers for answer in refused)
    assert len(answers) - len(refused) >= CAPACITY
    assert rig.router.predictors("peak_load")[2] == CAPACITY
    added_s = load.worst_added_wait_s()
    record("both actives crash", lost=0, of=len(load.answers), added_wait_s=added_s, saturated=len(refused))
    restart(rig, stage, 0, 1)
    at_rest(rig)


def refusals(rig: Rig) -> list[Answer]:
    """Ask twenty times in a row while nobody is up."""
    answers = [ask(rig.router.url, body=rig.quiz.next()) for _ in range(20)]
    assert {(answer.status, answer.json()["reason"]) for answer in answers} == {(503, "down")}
    assert all("retry-after" in answer.headers for answer in answers)
    return answers


def test_all_down_refuses_at_once_and_serves_again_when_the_first_is_back(stage: Stage) -> None:
    """With nobody up every client hears 503 down within 0.1 s; 2 s after one is up again, it serves.

    The 0.1 s hold for all twenty refusals of one of up to three rounds, as other programs share the machine.
    """
    rig = echo_rig(stage)
    for predictor in rig.predictors:
        predictor.kill()
    wait_until(lambda: rig.router.predictors("state") == ["down"] * 3)
    rounds = [max(answer.took_s for answer in refusals(rig)) for _ in range(TRIES)]
    assert ask(rig.router.url, "/health").status == 503
    restart(rig, stage, 1)
    up_at_s = time.monotonic()
    wait_until(lambda: ask(rig.router.url).status == 200)
    serves_after_s = time.monotonic() - up_at_s - SERVICE_TIME_S
    with QuizLoad(rig) as load:
        restart(rig, stage, 0, 2)
        wait_until(lambda: load.answered_by("predict1"))
    record("all down", refused_within_s=min(rounds), serves_again_after_s=serves_after_s)
    assert (load.lost(), load.wrong()) == ([], [])
    assert min(rounds) < REFUSED_WITHIN_S
    assert serves_after_s < SERVES_WITHIN_S
    at_rest(rig)
