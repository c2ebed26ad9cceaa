"""Almost valid requests, by raw bytes, against a running router and a running predictor.

A bounded, repeatable run belongs to all tests. For a long one with new examples, FUZZ_S says how many seconds:
    FUZZ_S=600 python -m pytest -s tests/fuzz
It prints the seed of each round. FUZZ_SEED=<that seed> repeats the round.
"""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, settings

from tests.fuzz.almost_valid import Message, messages
from tests.fuzz.framing import requests_in
from tests.harness.endpoint import Endpoint, open_predictor, open_router
from tests.harness.http_client import PROMPT_S, answers_in
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

FUZZ_S = float(os.environ.get("FUZZ_S", "0"))
FUZZ_SEED = os.environ.get("FUZZ_SEED")
EXAMPLES = 500
EXAMPLES_OF_A_ROUND = 2_000
FRAMING_ERRORS = {400, 413, 414, 415, 417, 431, 501}
KNOWN = {200, 404, 405, 408} | FRAMING_ERRORS
OPENERS = {"router": open_router, "predictor": open_predictor}

pytestmark = pytest.mark.timeout(FUZZ_S + 120)


@pytest.fixture(params=OPENERS)
def endpoint(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """Each of the two in turn."""
    with Stage(tmp_path) as stage:
        yield OPENERS[request.param](stage)


def check(endpoint: Endpoint, message: Message) -> None:
    """Sends the message; whatever it holds, these rules stand."""
    for stub in endpoint.stubs:
        stub.received.clear()
    start_s = time.monotonic()
    heard = answers_in(endpoint.receive(*message.pieces, finish=True), head_asked=b"HEAD" in message.whole)
    assert time.monotonic() - start_s < PROMPT_S
    if endpoint.stubs and any(answer.status == 503 for answer in heard):
        wait_until(lambda: endpoint.router.predictors("state") == ["serving"])
        return  # the stub shares a process with this test; on a busy machine it may miss its health checks
    assert {answer.status for answer in heard} <= KNOWN
    asked = requests_in(message.whole)
    assert len(heard) <= len(asked) + 1, "more answers than requests and a last error"
    good = [answer for answer in heard if answer.status == 200]
    assert len(good) <= len(asked)
    if endpoint.stubs:
        served = [answer for answer in heard if "x-predictor" in answer.headers]
        assert len(endpoint.stub.received) == len(served)
        possible = iter([b"" if request.method == b"GET" else request.body for request in asked])
        for request in endpoint.stub.received:
            assert request.body in possible, "the predictor got a request that nobody sent"


def fuzz(endpoint: Endpoint, seed: int | None, examples: int) -> None:
    """Checks this many messages: the same ones always, or those of a seed."""

    @settings(
        max_examples=examples,
        derandomize=seed is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(messages())
    def run(message: Message) -> None:
        check(endpoint, message)

    if seed is not None:
        run = hypothesis.seed(seed)(run)
    run()
    endpoint.assert_sound()


def test_door_keeps_its_rules_whatever_comes(endpoint: Endpoint) -> None:
    """Every message is answered in JSON or closed soon; no 500, no traceback, and no request that nobody sent."""
    if not FUZZ_S and not FUZZ_SEED:
        fuzz(endpoint, None, EXAMPLES)
        return
    rounds, end_s = 0, time.monotonic() + FUZZ_S / len(OPENERS)
    while not rounds or time.monotonic() < end_s:
        seed = int(FUZZ_SEED) if FUZZ_SEED else random.getrandbits(32)
        print(f"\n{endpoint.name}: round {rounds} of {EXAMPLES_OF_A_ROUND} messages, FUZZ_SEED={seed}", flush=True)
        fuzz(endpoint, seed, EXAMPLES_OF_A_ROUND)
        rounds += 1
