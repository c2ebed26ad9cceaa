"""Predictors that answer errors of their own: one that fails fast, a request that fails everywhere, full predictors."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.deployment import Deployment
from tests.harness.http_client import Answer
from tests.harness.load import SERVICE_TIME_S
from tests.harness.measurements import record
from tests.harness.stage import Stage
from tests.harness.stubs import answers
from tests.harness.waiting import wait_until

MAX_ERRORS = 3
SLACK_S = 0.6  # what a busy machine may add to a time that is measured once
TIMES = 100
RATE_PER_S = 12.0
CONCURRENCY = 10
BURST = 18
POISON = b'{"poison": true}'
FAILED = b'{"error": "poison"}'


@pytest.fixture
def judged(stage: Stage) -> Deployment:
    """A router before three active predictors that answer 500 to poison, at once, and serve everything else."""
    deployed = stage.deploy("3active", "--hold-down", "1")
    for stub in deployed.stubs:
        stub.script_for = lambda request: (
            answers(500, FAILED) if request.body == POISON else answers(delay_s=SERVICE_TIME_S)
        )
    return deployed


def poisoned(judged: Deployment) -> int:
    """How often poison has reached a predictor."""
    return sum(request.body == POISON for stub in judged.stubs for request in stub.received)


def is_poisons(answer: Answer) -> bool:
    """Whether it is a predictor's own 500, unchanged."""
    return (answer.status, answer.body) == (500, FAILED) and answer.predictor != ""


@pytest.mark.parametrize("status", [500, 404])
def test_errors_of_one_sequential_eject_it_after_three_and_reach_nobody(stage: Stage, status: int) -> None:
    """One of three answers an error at once: three requests meet it, then none; every client gets its 200."""
    deployed = stage.deploy("3active", "--hold-down", "30", service_time_s=SERVICE_TIME_S)
    deployed.set(answers(status), 0)
    heard = [deployed.fetch() for _ in range(15)]
    assert all(answer.is_whole for answer in heard)
    assert deployed.received[0] == MAX_ERRORS
    assert deployed.router.events("predict1") == ["ejected"]
    assert max(answer.took_s for answer in heard) < 2 * SERVICE_TIME_S + SLACK_S


@pytest.mark.parametrize("service_time_s", [SERVICE_TIME_S, 1.0])
def test_errors_of_one_under_load_meet_it_no_more_than_its_share(stage: Stage, service_time_s: float) -> None:
    """The one that fails fast, known by it a service time later, gets no more than its share before it is out."""
    deployed = stage.deploy("3active", "--hold-down", "30", service_time_s=service_time_s)
    router = deployed.router
    with deployed.load(RATE_PER_S) as load:
        wait_until(lambda: len(load.answers) > RATE_PER_S / 2)
        deployed.set(answers(500), 0)
        seen, all_seen = deployed.received[0], sum(deployed.received)
        out_at_s = router.event_time_s("predict1", "ejected")
        wait_until(lambda: router.loads()[0] == 0)  # who was on the way to it has met it
        met = deployed.received[0] - seen
        sent = sum(deployed.received) - all_seen - met  # without those sent again
        answered = len(load.answers)
        wait_until(lambda: len(load.answers) > answered + RATE_PER_S)
    later = deployed.received[0] - seen - met
    counts = {"lost": len(load.lost()), "of": len(load.answers), "met_before_out": met}
    record(f"fast 500s from one of three, service time {service_time_s:g} s", **counts)
    assert load.lost() == []
    assert later == 0, out_at_s
    assert met <= MAX_ERRORS + sent / 2


def test_errors_of_one_burst_meets_it_no_more_than_its_share(stage: Stage) -> None:
    """Of 18 requests at once, which two predictors have room for, the one that fails meets no more than half.

    A request that it failed weighs on it and, sent again, on one of the others: those two hold all 18 in the end, 9
    each, and it is chosen only while it has no more than the lesser of them.
    """
    deployed = stage.deploy("3active", "--hold-down", "30", service_time_s=SERVICE_TIME_S)
    deployed.set(answers(500), 0)
    for stub in deployed.stubs[1:]:
        stub.holding = True  # no answer is there that would judge the failures
    with ThreadPoolExecutor(BURST) as pool:
        answering = [pool.submit(deployed.fetch) for _ in range(BURST)]
        wait_until(lambda: sum(deployed.held) == BURST)
        met = deployed.received[0]
        deployed.release_held()
        heard = [answer.result() for answer in answering]
    record("fast 500s from one of three, 18 at once", lost=sum(a.status != 200 for a in heard), of=BURST, met=met)
    assert all(answer.is_whole for answer in heard)
    assert deployed.router.events("predict1") == ["ejected"]
    assert MAX_ERRORS <= met <= BURST / 2
    assert deployed.received[0] == met


@pytest.mark.parametrize("clients", [1, CONCURRENCY])
def test_poison_is_passed_on_after_two_attempts_and_ejects_nobody(judged: Deployment, clients: int) -> None:
    """A hundred requests that fail everywhere: each asked of two predictors, the 500 passed on, nobody out."""
    heard = judged.fetch_at_once(TIMES, clients, POISON)
    if clients == 1:
        record("poison input", passed_on=sum(map(is_poisons, heard)), of=TIMES, attempts=poisoned(judged), ejected=0)
    assert all(is_poisons(answer) for answer in heard)
    assert poisoned(judged) == 2 * TIMES
    judged.assert_nobody_ejected()


def test_poison_among_good_requests_harms_none_of_them(judged: Deployment) -> None:
    """Poison ten at a time beside good traffic: the good ones get their 200, poison its 500, nobody is out."""
    with judged.load() as load:
        heard = judged.fetch_at_once(TIMES, CONCURRENCY, POISON)
        wait_until(lambda: len(load.answers) >= 12)
        heard += judged.fetch_at_once(TIMES, CONCURRENCY, POISON)
    record("poison among good traffic", lost=len(load.lost()), of=len(load.answers), ejected=0)
    assert all(is_poisons(answer) for answer in heard)
    assert poisoned(judged) == 4 * TIMES
    assert load.lost() == []
    assert all(answer.is_whole for answer in load.answers)
    judged.assert_nobody_ejected()


def test_poison_with_one_predictor_left_is_passed_on_and_never_ejects_it(stage: Stage) -> None:
    """A single predictor stays in rotation whatever it answers."""
    deployed = stage.deploy("single", number=1)
    deployed.set(answers(500, FAILED))
    assert all(is_poisons(deployed.fetch(POISON)) for _ in range(10))
    assert deployed.received == [10]
    deployed.set(answers())
    assert deployed.fetch().is_whole
    assert deployed.router.events("predict1") == []


def test_full_predictors_own_503_is_passed_on_and_ejects_nobody(stage: Stage) -> None:
    """Where every predictor says 503 of its own, all are asked, and the client hears it, with who said so; all stay."""
    deployed = stage.deploy("3active")
    full = json.dumps({"error": "at capacity"}).encode()
    deployed.set(answers(503, full))
    heard = deployed.fetch_at_once(30, CONCURRENCY)
    assert {(answer.status, answer.body) for answer in heard} == {(503, full)}
    assert all(answer.predictor for answer in heard)
    assert deployed.received == [30, 30, 30]
    deployed.assert_nobody_ejected()
    refused = deployed.router.snapshot()["refused"]
    assert refused == {"saturated": 0, "busy": 30, "down": 0, "timeout": 0, "bad_answer": 0}
