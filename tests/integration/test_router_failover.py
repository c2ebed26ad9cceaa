"""Failover: predictors that crash, hang, fail or are taken out by their operator, under a router with clients."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.harness.load import CAPACITY, HOLD_DOWN_S, SERVICE_TIME_S, echo_process, echo_rig
from tests.harness.processes import SAMPLE, Load, Router, Stage, ask, loads, statuses, wait_until
from tests.harness.stubs import Script, StubPredictor, answers, ports_of, resets, sends

SLACK_S = 0.6  # what a busy machine may add to a time that is measured once


class Stubbed(NamedTuple):
    """A router with stub predictors."""

    router: Router
    path: Path
    stubs: list[StubPredictor]

    def set(self, script: Script) -> None:
        """Have every stub do this."""
        for stub in self.stubs:
            stub.script = script


def stubbed(stage: Stage, name: str, *options: str) -> Stubbed:
    """Start three stubs and the router on a copy of the named topology."""
    stubs = stage.stubs(3)
    path = stage.topology(name, ports_of(stubs))
    return Stubbed(stage.router(path, "--hold-down", str(HOLD_DOWN_S), *options), path, stubs)


@pytest.fixture
def two_active(stage: Stage) -> Stubbed:
    """Stubs in the topology 2active."""
    return stubbed(stage, "2active")


@pytest.fixture
def three_active(stage: Stage) -> Stubbed:
    """Stubs in the topology 3active."""
    return stubbed(stage, "3active")


def test_failover_killed_active_is_replaced_and_readmitted_and_the_standby_steps_back(stage: Stage) -> None:
    """A crash under load loses no request; the file shows each change, and in the end its initial text."""
    router, path, initial, ports, predictors, _ = echo_rig(stage)
    with Load(router.url) as load:
        wait_until(lambda: load.answered_by("predict1") and load.answered_by("predict2"))
        wait_until(lambda: router.picture()["predictors"]["predict1"]["load"] > 0)
        predictors[0].kill()
        killed_at_s = time.monotonic()
        wait_until(lambda: statuses(path) == [False, True, True])
        wait_until(lambda: load.answered_by("predict3"))
        assert router.predictors("state") == ["down", "serving", "serving"]
        echo_process(stage, "predict1", ports[0])
        wait_until(lambda: statuses(path)[0])
        back_at_s = time.monotonic()
        wait_until(lambda: load.answered_by("predict1", since_s=killed_at_s))
        wait_until(lambda: statuses(path) == [True, True, False])
        wait_until(lambda: load.answered_by("predict2", since_s=back_at_s))
    assert load.lost() == []
    assert router.events("predict1") == ["ejected", "readmitted"]
    assert router.events("predict3") == ["promoted", "demoted"]
    back_for_s = router.event_time_s("predict3", "demoted") - router.event_time_s("predict1", "readmitted")
    assert back_for_s >= HOLD_DOWN_S
    assert max(answer.took_s for answer in load.answers) < 2 * SERVICE_TIME_S + 0.3 + SLACK_S
    wait_until(lambda: path.read_bytes() == initial)
    assert router.loads() == [0, 0, 0]


def test_failover_all_actives_down_standby_alone_serves_then_refuses(two_active: Stubbed, stage: Stage) -> None:
    """With both actives gone the standby serves while it has room; then clients hear saturated, not down."""
    router, path, stubs = two_active
    for stub in stubs[:2]:
        stub.go_down()
    assert [ask(router.url).predictor for _ in range(4)] == ["predict3"] * 4
    wait_until(lambda: statuses(path) == [False, False, True])
    stubs[2].holding = True
    stage.hold(router, CAPACITY)
    wait_until(lambda: stubs[2].held == CAPACITY)
    answer = ask(router.url)
    assert (answer.status, answer.json()["reason"]) == (503, "saturated")
    assert "retry-after" in answer.headers


def test_failover_all_down_refuses_at_once_and_serves_again_by_itself(two_active: Stubbed) -> None:
    """With nobody up, clients hear 503 down at once; with the first one back, it serves within 2 s."""
    router, path, stubs = two_active
    initial = path.read_bytes()
    for stub in stubs:
        stub.go_down()
    wait_until(lambda: statuses(path) == [False, False, False])
    answer = ask(router.url)
    assert (answer.status, answer.json()["reason"]) == (503, "down")
    assert "retry-after" in answer.headers
    assert answer.took_s < 0.1 + SLACK_S
    assert ask(router.url, "/health").status == 503
    stubs[1].go_up()
    up_at_s = time.monotonic()
    wait_until(lambda: ask(router.url).status == 200)
    assert time.monotonic() - up_at_s < 2.0 + SLACK_S
    stubs[0].go_up()
    stubs[2].go_up()
    wait_until(lambda: path.read_bytes() == initial)


def test_failover_unhealthy_active_is_out_after_its_requests(two_active: Stubbed, stage: Stage) -> None:
    """A predictor whose health checks fail leaves the rotation; what waits on it goes to another one."""
    router, path, stubs = two_active
    stubs[0].holding = True
    sent = stage.hold(router, 2, SAMPLE)
    wait_until(lambda: stubs[0].held == 1)
    stubs[0].healthy = False
    answered = [exchange.answer() for exchange in sent]
    assert [answer.status for answer in answered] == [200, 200]
    assert "predict1" not in {answer.predictor for answer in answered}
    assert len(stubs[0].received) == 1
    resent = [request.body for request in stubs[1].received + stubs[2].received]
    assert resent == [SAMPLE, SAMPLE]
    stubs[0].healthy = True
    stubs[0].let_go()
    wait_until(lambda: router.events("predict1") == ["ejected", "readmitted"])
    wait_until(lambda: statuses(path) == [True, True, False])


@pytest.mark.parametrize("script", [resets, sends(b""), sends(b"no HTTP\r\n\r\n"), answers(500), answers(503)])
def test_failover_failed_answer_is_asked_of_another(three_active: Stubbed, script: Script) -> None:
    """A request whose predictor resets, closes, talks nonsense or answers 5xx goes to another: the client hears 200."""
    router, _, stubs = three_active
    stubs[0].script = script
    heard = [ask(router.url, body=SAMPLE) for _ in range(9)]
    assert {answer.status for answer in heard} == {200}
    assert {answer.predictor for answer in heard} == {"predict2", "predict3"}
    assert 1 <= len(stubs[0].received) <= 3
    assert router.events("predict1")[:1] == (["ejected"] if len(stubs[0].received) == 3 else [])


def test_failover_three_failures_in_a_row_eject_and_a_good_answer_between_does_not(
    three_active: Stubbed,
) -> None:
    """Two failed answers are forgiven after a good one; the third in a row takes the predictor out."""
    router, path, stubs = three_active

    def fail(times: int) -> None:
        stubs[0].script = answers(500)
        seen = len(stubs[0].received)
        while len(stubs[0].received) < seen + times:
            assert ask(router.url).status == 200
        stubs[0].script = answers()

    fail(2)
    wait_until(lambda: ask(router.url).predictor == "predict1")
    fail(2)
    assert router.events("predict1") == []
    fail(1)
    wait_until(lambda: statuses(path) == [False, True, True])
    assert router.events("predict1") == ["ejected"]
    wait_until(lambda: statuses(path) == [True, True, True])  # its health checks have passed all the time


def test_failover_request_that_fails_everywhere_is_passed_on_and_ejects_nobody(three_active: Stubbed) -> None:
    """Where a second predictor fails too, it is the request's fault: its 500 goes to the client after two attempts."""
    router, _, stubs = three_active
    three_active.set(answers(500, b'{"error": "poison"}'))
    for number in range(1, 11):
        answer = ask(router.url, body=SAMPLE)
        assert (answer.status, answer.json()) == (500, {"error": "poison"})
        assert sum(len(stub.received) for stub in stubs) == 2 * number
    assert router.predictors("state") == ["serving"] * 3
    assert router.picture()["events"] == []


def test_failover_without_resend_sends_no_request_twice(stage: Stage) -> None:
    """`--no-resend`: a request that may have run is not sent again; one that was never sent still is."""
    router, _, stubs = stubbed(stage, "3active", "--no-resend")
    for stub in stubs:
        stub.script = resets
    answer = ask(router.url)
    assert (answer.status, answer.json()["reason"]) == (502, "bad_answer")
    assert sum(len(stub.received) for stub in stubs) == 1
    for stub in stubs:
        stub.script = answers()
    for stub in stubs[:2]:
        stub.go_down()
    assert {ask(router.url).status for _ in range(3)} == {200}


def test_drain_gives_nothing_new_and_ready_puts_back(two_active: Stubbed, stage: Stage) -> None:
    """A drained predictor ends what it has, gets nothing new, and a standby stands in for it until it is ready."""
    router, path, stubs = two_active
    initial = path.read_bytes()
    for stub in stubs:
        stub.holding = True
    sent = stage.hold(router, 4)
    wait_until(lambda: [stub.held for stub in stubs] == [2, 2, 0])
    assert router.order("predict1", "drain").json()["predict1"]["state"] == "draining"
    wait_until(lambda: (statuses(path), loads(path)) == ([False, True, True], [2, 2, 0]))
    for stub in stubs:
        stub.let_go()
    assert {exchange.answer().status for exchange in sent} == {200}
    wait_until(lambda: router.predictors("state")[0] == "drained")
    assert {ask(router.url).predictor for _ in range(6)} == {"predict2", "predict3"}
    assert len(stubs[0].received) == 2
    assert router.order("predict1", "ready").json()["predict1"]["state"] == "serving"
    assert "predict1" in {ask(router.url).predictor for _ in range(3)}
    wait_until(lambda: path.read_bytes() == initial)
    assert router.events("predict1") == ["drained", "ready"]
    assert router.events("predict3") == ["promoted", "demoted"]


def test_drain_of_a_predictor_stopped_for_an_upgrade_loses_nothing(two_active: Stubbed) -> None:
    """Drain, stop, start, ready: no client notices, and a predictor that is drained comes back only when told."""
    router, path, stubs = two_active
    initial = path.read_bytes()
    with Load(router.url, rate_per_s=40) as load:
        router.order("predict2", "drain")
        wait_until(lambda: router.predictors("state")[1] == "drained")
        stubs[1].go_down()
        wait_until(lambda: "failed" in router.events("predict2"))
        stubs[1].go_up()
        wait_until(lambda: "recovered" in router.events("predict2"))
        assert router.predictors("state")[1] == "drained"
        router.order("predict2", "ready")
        ready_at_s = time.monotonic()
        wait_until(lambda: load.answered_by("predict2", since_s=ready_at_s))
    assert load.lost() == []
    wait_until(lambda: path.read_bytes() == initial)


@pytest.fixture(scope="module")
def idle(shared_stage: Stage) -> Iterator[Stubbed]:
    """A router whose admin port refuses every order that the tests give."""
    yield (shared := stubbed(shared_stage, "3active"))
    assert shared.router.picture()["events"] == []


@pytest.mark.parametrize("order", ["drain", "ready"])
def test_admin_unknown_predictor_is_404_with_the_known_ones(idle: Stubbed, order: str) -> None:
    """A predictor that does not exist is not found, and the answer lists those that do."""
    answer = idle.router.order("predict9", order)
    assert answer.status == 404
    assert all(part in answer.json()["error"] for part in ("predict9", "predict1, predict2, predict3"))


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_admin_order_of_another_type_is_415(idle: Stubbed, content_type: str) -> None:
    """What a form of another site could send is no order."""
    headers = {"Content_Type": content_type} if content_type else {"X_No_Type": "at all"}
    answer = ask(idle.router.admin_url, "/predictors/predict1/drain", b"", **headers)
    assert (answer.status, "application/json" in answer.json()["error"]) == (415, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "rebound.example:8001"},
        {"Host": "127.0.0.1.rebound.example"},
        {"Origin": "http://rebound.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
    ids=lambda headers: "-".join(*headers.items()),
)
@pytest.mark.parametrize(("path", "body"), [("/topology", None), ("/predictors/predict1/drain", b"")])
def test_admin_foreign_host_or_origin_is_403(
    idle: Stubbed, path: str, body: bytes | None, headers: dict[str, str]
) -> None:
    """Pages of other origins, or under a rebound name, neither read nor order anything."""
    answer = ask(idle.router.admin_url, path, body, Content_Type="application/json", **headers)
    assert answer.status == 403
    assert "predict1" not in answer.json()["error"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_admin_own_name_and_origin_are_answered(idle: Stubbed, name: str) -> None:
    """The loopback's names are its own, with or without a page of its own behind."""
    host = f"{name}:{idle.router.admin_url.rpartition(':')[2]}"
    assert ask(idle.router.admin_url, "/topology", Host=host).status == 200
    assert ask(idle.router.admin_url, "/topology", Host=host, Origin=f"http://{host}").status == 200


def test_admin_port_is_not_public(idle: Stubbed) -> None:
    """The public port knows nothing of the admin's paths."""
    assert ask(idle.router.url, "/topology").status == 404
    assert ask(idle.router.url, "/predictors/predict1/drain", b"").status == 404
