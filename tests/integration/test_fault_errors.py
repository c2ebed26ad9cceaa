"""Predictors that answer errors of their own: one that fails fast, a request that fails everywhere, full predictors."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.harness.measurements import record
from tests.harness.processes import SAMPLE, Answer, Load, Router, Stage, ask, wait_until
from tests.harness.raw_http import (
    SERVICE_TIME_S,
    Judge,
    answers_after_service,
    bench,
    is_whole,
    judges,
)
from tests.harness.stubs import answers

MAX_ERRORS = 3
SLACK_S = 0.6  # what a busy machine may add to a time that is measured once
TIMES = 100
RATE_PER_S = 12.0
CONCURRENCY = 10
BURST = 18
POISON = b'{"poison": true}'
FAILED = b'{"error": "poison"}'


class Judged(NamedTuple):
    """A router before three active predictors that answer 500 to poison, at once, and serve everything else."""

    router: Router
    predictors: list[Judge]

    @property
    def poisoned(self) -> int:
        """How often poison has reached a predictor."""
        return sum(judge.bodies.count(POISON) for judge in self.predictors)


def judge_poison(name: str, body: bytes) -> tuple[int, bytes]:
    """Fail at once on poison."""
    return (500, FAILED) if body == POISON else answers_after_service(name)


@pytest.fixture
def judged(stage: Stage) -> Iterator[Judged]:
    """The router, and its predictors until the test's end."""
    with ExitStack() as ends:
        trio = judges(stage, judge_poison)
        for judge in trio:
            ends.callback(judge.close)
        path = stage.topology("3active", [judge.port for judge in trio])
        yield Judged(stage.router(path, "--hold-down", "1"), trio)


def is_poisons(answer: Answer) -> bool:
    """Whether it is a predictor's own 500, unchanged."""
    return (answer.status, answer.body) == (500, FAILED) and answer.predictor != ""


def assert_nobody_ejected(router: Router) -> None:
    """Check that all predictors have been in rotation all the time."""
    assert router.picture()["events"] == []
    assert router.predictors("state") == ["serving"] * 3
    assert router.loads() == [0, 0, 0]


@pytest.mark.parametrize("status", [500, 503])
def test_errors_of_one_sequential_eject_it_after_three_and_reach_nobody(stage: Stage, status: int) -> None:
    """One of three answers an error at once: three requests meet it, then none; every client gets its 200."""
    router, _, stubs = bench(stage, "3active", "--hold-down", "30")
    stubs[0].script = answers(status)
    heard = [ask(router.url, body=SAMPLE) for _ in range(15)]
    assert all(is_whole(answer) for answer in heard)
    assert len(stubs[0].received) == MAX_ERRORS
    assert router.events("predict1") == ["ejected"]
    assert max(answer.took_s for answer in heard) < 2 * SERVICE_TIME_S + SLACK_S


@pytest.mark.parametrize("service_time_s", [SERVICE_TIME_S, 1.0])
def test_errors_of_one_under_load_make_it_nobodys_favourite(stage: Stage, service_time_s: float) -> None:
    """The one that fails fast has a low load all the time, and gets no more than its share before it is out.

    Its failures are known as its own one service time later: until then a third of the requests may still meet it.
    """
    router, _, stubs = bench(stage, "3active", "--hold-down", "30", service_time_s=service_time_s)
    with Load(router.url, RATE_PER_S) as load:
        wait_until(lambda: len(load.answers) > RATE_PER_S / 2)
        stubs[0].script = answers(500)
        seen, all_seen = len(stubs[0].received), sum(len(stub.received) for stub in stubs)
        out_at_s = router.event_time_s("predict1", "ejected")
        wait_until(lambda: router.loads()[0] == 0)  # who was on the way to it has met it
        met = len(stubs[0].received) - seen
        sent = sum(len(stub.received) for stub in stubs) - all_seen - met  # without those sent again
        answered = len(load.answers)
        wait_until(lambda: len(load.answers) > answered + RATE_PER_S)
    later = len(stubs[0].received) - seen - met
    record(
        f"fast 500s from one of three, service time {service_time_s:g} s",
        lost=len(load.lost()),
        of=len(load.answers),
        met_before_out=met,
    )
    assert load.lost() == []
    assert later == 0, out_at_s
    assert met <= MAX_ERRORS + sent / 2


def test_errors_of_one_burst_meets_it_no_more_than_its_share(stage: Stage) -> None:
    """Of 18 requests at once, which two predictors have room for, the one that fails meets no more than half.

    A request that it failed weighs on it and, sent again, on one of the others: those two hold all 18 in the end, 9
    each, and it is chosen only while it has no more than the lesser of them.
    """
    router, _, stubs = bench(stage, "3active", "--hold-down", "30")
    stubs[0].script = answers(500)
    for stub in stubs[1:]:
        stub.holding = True  # no answer is there that would judge the failures
    with ThreadPoolExecutor(BURST) as pool:
        answering = [pool.submit(ask, router.url, body=SAMPLE) for _ in range(BURST)]
        wait_until(lambda: sum(stub.held for stub in stubs) == BURST)
        met = len(stubs[0].received)
        for stub in stubs[1:]:
            stub.let_go()
        heard = [answer.result() for answer in answering]
    record("fast 500s from one of three, 18 at once", lost=sum(a.status != 200 for a in heard), of=BURST, met=met)
    assert all(is_whole(answer) for answer in heard)
    assert router.events("predict1") == ["ejected"]
    assert MAX_ERRORS <= met <= BURST / 2
    assert len(stubs[0].received) == met


def test_poison_in_turn_is_passed_on_after_two_attempts_and_ejects_nobody(judged: Judged) -> None:
    """A hundred requests that fail everywhere: each asked of two predictors, the 500 passed on, nobody out."""
    heard = [ask(judged.router.url, body=POISON) for _ in range(TIMES)]
    record("poison input", passed_on=sum(map(is_poisons, heard)), of=TIMES, attempts=judged.poisoned, ejected=0)
    assert all(is_poisons(answer) for answer in heard)
    assert judged.poisoned == 2 * TIMES
    assert_nobody_ejected(judged.router)


def test_poison_at_once_is_passed_on_after_two_attempts_and_ejects_nobody(judged: Judged) -> None:
    """The same ten at a time."""
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        heard = list(pool.map(lambda _: ask(judged.router.url, body=POISON), range(TIMES)))
    assert all(is_poisons(answer) for answer in heard)
    assert judged.poisoned == 2 * TIMES
    assert_nobody_ejected(judged.router)


def test_poison_among_good_requests_harms_none_of_them(judged: Judged) -> None:
    """Poison ten at a time beside good traffic: the good ones get their 200, poison its 500, nobody is out."""
    with Load(judged.router.url) as load, ThreadPoolExecutor(CONCURRENCY) as pool:
        heard = list(pool.map(lambda _: ask(judged.router.url, body=POISON), range(TIMES)))
        wait_until(lambda: len(load.answers) >= 12)
        heard += pool.map(lambda _: ask(judged.router.url, body=POISON), range(TIMES))
    record("poison among good traffic", lost=len(load.lost()), of=len(load.answers), ejected=0)
    assert all(is_poisons(answer) for answer in heard)
    assert judged.poisoned == 4 * TIMES
    assert load.lost() == []
    assert all(is_whole(answer) for answer in load.answers)
    assert_nobody_ejected(judged.router)


def test_poison_with_one_predictor_left_is_passed_on_and_never_ejects_it(stage: Stage) -> None:
    """A single predictor stays in rotation whatever it answers."""
    [stub] = stage.stubs(1)
    router = stage.router(stage.topology("single", [stub.port]))
    stub.script = answers(500, FAILED)
    assert all(is_poisons(ask(router.url, body=POISON)) for _ in range(10))
    assert len(stub.received) == 10
    stub.script = answers()
    assert is_whole(ask(router.url, body=SAMPLE))
    assert router.events("predict1") == []


def test_full_predictors_own_503_is_passed_on_and_ejects_nobody(stage: Stage) -> None:
    """Where every predictor says 503 of its own, the client hears it, with who said so; all of them stay."""
    router, _, stubs = bench(stage, "3active")
    full = json.dumps({"error": "at capacity"}).encode()
    for stub in stubs:
        stub.script = answers(503, full)
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        heard = list(pool.map(lambda _: ask(router.url, body=SAMPLE), range(30)))
    assert {(answer.status, answer.body) for answer in heard} == {(503, full)}
    assert all(answer.predictor for answer in heard)
    assert sum(len(stub.received) for stub in stubs) == 60
    assert_nobody_ejected(router)
    assert router.picture()["refused"] == {"saturated": 0, "down": 0, "timeout": 0, "bad_answer": 0}
