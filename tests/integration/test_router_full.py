"""Predictors that are full, not there or silent, while their health checks pass, or fail only for want of time."""

import json
import random
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import mean

import pytest

from experiments.theory.erlang import erlang_b
from tests.harness.deployment import Deployment
from tests.harness.http_client import Answer, try_fetch
from tests.harness.measurements import record
from tests.harness.project import SAMPLE
from tests.harness.stage import Stage
from tests.harness.stubs import StubPredictor, answers, at_most
from tests.harness.waiting import wait_until

SERVICE_TIME_S = 0.05
HOLD_DOWN_S = 1.0
DEADLINE_S = 3.0
REQUESTS, CLIENTS = 120, 6
LIMIT = 4
TRIES = 3
needs_haproxy = pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")
HAPROXY = pytest.param("haproxy", marks=needs_haproxy)


def deploy(
    stage: Stage, topology: str, engine: str, *options: str, stubs: list[StubPredictor] | None = None
) -> Deployment:
    """A router with a short hold-down and deadline before stubs of 0.05 s."""
    given = ["--engine", engine, "--hold-down", str(HOLD_DOWN_S), "--deadline", str(DEADLINE_S), *options]
    return stage.deploy(topology, *given, stubs=stubs, service_time_s=SERVICE_TIME_S)


@pytest.fixture(scope="module")
def three(shared_stage: Stage) -> Deployment:
    """Three actives, with the Flask engine."""
    return deploy(shared_stage, "3active", "flask")


@pytest.fixture
def flask(three: Deployment) -> Iterator[Deployment]:
    """The same, with all of them well after the test."""
    yield three
    three.assert_serves(answers(delay_s=SERVICE_TIME_S))


def ask(deployed: Deployment) -> list[Answer]:
    """What 120 requests of six clients hear."""
    return deployed.fetch_at_once(REQUESTS, CLIENTS)


@pytest.mark.parametrize("status", [404, 405, 410, 501, 429, 503])
def test_one_of_three_that_refuses_at_once_costs_no_request(flask: Deployment, status: int) -> None:
    """It is the fastest and least loaded, but another answers: by a re-send, and soon it is out, or asked last."""
    flask.set(answers(status), 0)
    seen = flask.received[0]
    heard = ask(flask)
    asked = flask.received[0] - seen
    record(f"one of three answers {status} at once", lost=sum(a.status != 200 for a in heard), of=REQUESTS, met=asked)
    assert all(answer.is_whole for answer in heard)
    assert asked < REQUESTS / 4


@needs_haproxy
def test_one_of_three_that_answers_404_at_once_costs_no_request_with_haproxy(stage: Stage) -> None:
    """HAProxy 2.6 can send again after 404, not after 405, 410 and 429."""
    deployed = deploy(stage, "3active", "haproxy")
    deployed.set(answers(404), 0)
    assert all(answer.is_whole for answer in ask(deployed))
    assert "ejected" in deployed.router.events("predict1")
    deployed.set(answers(429), 1)
    with deployed.load(rate_per_s=40) as load:
        wait_until(lambda: len(load.answers) >= REQUESTS)
    heard = load.answers
    record("one of three answers 429 at once, haproxy", lost=len(load.lost()), of=len(heard))
    assert {answer.status for answer in heard} == {200, 429}
    assert len(load.lost()) < len(heard) / 4
    assert deployed.router.snapshot()["refused"]["busy"] == sum(answer.status == 429 for answer in heard)


def test_clients_own_mistake_is_passed_on_after_one_attempt(flask: Deployment) -> None:
    """Its 400 counts against nobody, however often it comes."""
    before, events = sum(flask.received), len(flask.router.snapshot()["events"])
    flask.set(answers(400, b'{"error": "bad input"}'))
    assert {answer.status for answer in flask.fetch_at_once(12, 3)} == {400}
    assert sum(flask.received) - before == 12
    assert len(flask.router.snapshot()["events"]) == events


def test_busy_for_the_hold_down_alone_is_out(flask: Deployment) -> None:
    """One that says nothing but busy is broken after all; health checks alone do not bring it back before its time."""
    flask.set(answers(429), 0)
    earlier = len(flask.router.snapshot()["events"])
    with flask.load(rate_per_s=30) as load:
        out_s = flask.router.event_time_s("predict1", "ejected", earlier)
    assert load.lost() == []
    flask.set(answers(delay_s=SERVICE_TIME_S), 0)
    assert flask.router.event_time_s("predict1", "readmitted", earlier) - out_s >= HOLD_DOWN_S - 0.1


def test_full_servers_that_fail_health_checks_are_not_ejected(stage: Stage) -> None:
    """Three that answer 503 to all at 4 connections, at 6 erlangs on 9 slots: refusals are those of Erlang B.

    Held by the time that answers took, and in one of three tries: a machine that stands still at times offers no
    Poisson stream.
    """
    stubs = stage.stubs(3)
    for stub in stubs:
        stub.most_connections = LIMIT
        stub.script = answers(delay_s=0.1)
    deployed = stage.deploy("3active", "--threshold", "3", stubs=stubs)
    assert any(refuses_as_erlang_b(deployed) for _ in range(TRIES))
    wait_until(lambda: sum(deployed.router.loads()) == 0)
    deployed.assert_nobody_ejected()


def refuses_as_erlang_b(deployed: Deployment) -> bool:
    """Whether 9 slots refuse of a Poisson stream what Erlang B says."""
    rate_per_s, for_s = 60.0, 7.0
    heard = poisson(deployed, rate_per_s, for_s)
    lost = sum(answer.status != 200 for answer in heard)
    held_s = mean(answer.took_s for answer in heard if answer.status == 200)
    expected = erlang_b(9, rate_per_s * held_s)
    record("full servers with failing health checks", lost=lost, of=len(heard), expected=f"{expected:.3f}")
    # the count's spread is about that of independent losses, twice: refusals come in bursts
    return abs(lost / len(heard) - expected) < 4 * (2 * expected / len(heard)) ** 0.5


def poisson(deployed: Deployment, rate_per_s: float, for_s: float) -> list[Answer]:
    """What a Poisson stream of requests hears."""
    rng, start_s, due_s, heard = random.Random(5), time.monotonic(), 0.0, []
    with ThreadPoolExecutor(40) as pool:
        while (due_s := due_s + rng.expovariate(rate_per_s)) < for_s:
            time.sleep(max(0.0, start_s + due_s - time.monotonic()))
            heard.append(pool.submit(try_fetch, deployed.url, SAMPLE))
    return [each.result() for each in heard]


@pytest.mark.parametrize("engine", ["flask", HAPROXY])
def test_busy_actives_promote_the_standby_which_stays(stage: Stage, engine: str) -> None:
    """Servers that take 4 and say 429 beyond, of capacity 10: ten clients are served by the standby too, for good."""
    deployed = deploy(stage, "2active", engine)
    for stub in deployed.stubs:
        stub.script = at_most(LIMIT, 429, 0.1)
    with deployed.closed_loop(clients=10) as load:
        wait_until(lambda: deployed.statuses() == [True, True, True])
        promoted = len(load.answers)
        wait_until(lambda: len(load.answers) > promoted + 10 * 10 * 3 * HOLD_DOWN_S)
    assert deployed.router.events("predict3") == ["promoted"]
    assert not [event for event in deployed.router.snapshot()["events"] if event["event"] == "ejected"]
    lost = len(load.lost())
    record(f"429 beyond 4, ten clients, {engine}", lost=lost, of=len(load.answers))
    assert lost == 0 if engine == "flask" else lost < len(load.answers) / 10


@pytest.mark.parametrize("engine", ["flask", HAPROXY])
def test_ready_but_silent_is_out_within_the_deadline_and_costs_no_request(stage: Stage, engine: str) -> None:
    """Its health checks pass all the time; what waits there is answered by another."""
    deployed = deploy(stage, "3active", engine)
    with deployed.load(rate_per_s=30) as load:
        wait_until(lambda: len(load.answers) > 30)
        deployed.stubs[0].holding = True
        silent_s = time.time()
        out_s = deployed.router.event_time_s("predict1", "ejected")
    deployed.stubs[0].release_held()
    record(
        f"ready but silent, {engine}",
        out_after_s=round(out_s - silent_s, 1),
        lost=len(load.lost()),
        slowest_s=round(load.slowest_s(), 2),
    )
    assert out_s - silent_s < DEADLINE_S + 0.5
    assert load.lost() == []
    assert load.slowest_s() < (2.0 if engine == "flask" else DEADLINE_S)


def test_silent_for_a_moment_serves_again_as_soon_as_it_answers(stage: Stage) -> None:
    """Its clients' requests go to others meanwhile, so the router asks it by itself; nobody is taken out for it."""
    deployed = deploy(stage, "3active", "flask")
    with deployed.load(rate_per_s=30) as load:
        wait_until(lambda: len(load.answers) > 30)
        deployed.stubs[0].holding = True
        wait_until(lambda: deployed.router.predictors("resent")[0] > 0)
        deployed.stubs[0].release_held()
        served = deployed.router.predictors("served")[0]
        wait_until(lambda: deployed.router.predictors("served")[0] > served + 10, DEADLINE_S)
    assert load.lost() == []
    assert deployed.router.events("predict1") == []


@pytest.mark.parametrize("engine", ["flask", HAPROXY])
def test_health_that_lies_is_found_out_by_the_payload(stage: Stage, engine: str) -> None:
    """With a payload, who was out or has just come joins only once it has answered a prediction well."""
    (stage.folder / "payload.json").write_bytes(b"[1]")
    file = stage.folder / "my-server.json"
    file.write_text(json.dumps({"payload": "payload.json", "health_interval_s": 0.1}))
    stubs = stage.stubs(2)
    stubs[1].script = answers(404)
    deployed = deploy(stage, "2only", engine, "--server", str(file), stubs=stubs)
    assert deployed.router.predictors("state") == ["serving", "down"]
    assert {deployed.fetch().predictor for _ in range(4)} == {"predict1"}
    wait_until(lambda: len(stubs[1].received) >= 4)  # it is asked at every health check
    assert deployed.router.predictors("state") == ["serving", "down"]
    assert {request.body for request in stubs[1].received} == {b"[1]"}
    stubs[1].script = answers()
    wait_until(lambda: deployed.router.predictors("state") == ["serving", "serving"])
    stubs[1].go_down()
    wait_until(lambda: deployed.router.predictors("state") == ["serving", "down"])
    stubs[1].script = answers(503)
    stubs[1].go_up()
    seen = len(stubs[1].received)
    wait_until(lambda: len(stubs[1].received) >= seen + 2)
    assert deployed.router.predictors("state") == ["serving", "down"]
    assert deployed.router.errors().count("not yet a prediction") == 2
