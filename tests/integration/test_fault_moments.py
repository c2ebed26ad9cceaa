"""Fifty clients at the very moments of promotion, ejection and failback, held together by barriers."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.harness.deployment import Deployment
from tests.harness.http_client import Answer, answers_in, connect, until_end
from tests.harness.measurements import record
from tests.harness.processes import Router
from tests.harness.stage import Stage
from tests.harness.stubs import StubPredictor
from tests.harness.waiting import Background, wait_until

CLIENTS = 50
ROUNDS = 4
CAPACITY = 10
ROOMY = 60
HOLD_DOWN_S = 0.5
READ_DEADLINE_S = 20


def fetch_once(router: Router, number: int) -> list[Answer]:
    """Sends one numbered request and reads until the router closes, so that a second answer would be seen."""
    body = f'{{"number": {number}}}'.encode()
    head = f"POST /predict HTTP/1.1\r\nHost: router\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with connect(router.url, READ_DEADLINE_S) as client:
        client.sendall(head.encode() + body)
        return answers_in(until_end(client, READ_DEADLINE_S))


class Moment:
    """Clients who wait at a barrier; the last one to arrive does `trigger`, and then all go at once."""

    def __init__(self, router: Router, trigger: Callable[[], None], first: int = 0, number: int = CLIENTS) -> None:
        self.heard: list[list[Answer]] = []
        self._router = router
        self._barrier = threading.Barrier(number, action=trigger)
        self._threads = [threading.Thread(target=self._go, args=(first + n,)) for n in range(number)]
        for thread in self._threads:
            thread.start()

    def end(self) -> list[Answer]:
        """Waits until every client has its answer: exactly one each."""
        for thread in self._threads:
            thread.join(READ_DEADLINE_S)
        assert [len(heard) for heard in self.heard] == [1] * len(self._threads)
        return [answer for [answer] in self.heard]

    def _go(self, number: int) -> None:
        self._barrier.wait()
        self.heard.append(fetch_once(self._router, number))


def deploy(stage: Stage, *options: str) -> Deployment:
    """Starts three stubs that hold requests, and a router on 2active."""
    deployed = stage.deploy("2active", "--hold-down", str(HOLD_DOWN_S), *options)
    deployed.hold_all()
    return deployed


def wait_for_agreement(deployed: Deployment, total: int) -> list[int]:
    """Waits until the loads are the open requests, `total` in all; returns them."""
    with suppress(AssertionError):
        wait_until(lambda: sum(deployed.held) == total and deployed.router.loads() == deployed.held)
    held = deployed.held
    assert (sum(held), deployed.router.loads()) == (total, held), deployed.router.snapshot()["events"]
    return held


def numbers(deployed: Deployment) -> Counter[bytes]:
    """How often each request arrived at any stub."""
    return Counter(request.body for stub in deployed.stubs for request in stub.received)


class Watched(Background):
    """Watches every stub's open requests all along; keeps the most of each in `seen`."""

    def __init__(self, deployed: Deployment, seen: list[int]) -> None:
        super().__init__()
        self._rig, self._seen = deployed, seen

    def _work(self) -> None:
        while not self._ended.wait(0.002):
            self._seen[:] = map(max, self._seen, self._rig.held)


def test_promotion_with_fifty_clients_at_once_fills_each_slot_once(stage: Stage) -> None:
    """Thirty are placed, the standby's ten among them, and twenty are refused; load is what is open, all along."""
    deployed = deploy(stage)
    seen = [0, 0, 0]
    for _ in range(ROUNDS):
        with Watched(deployed, seen):
            moment = Moment(deployed.router, deployed.hold_all)
            assert wait_for_agreement(deployed, 3 * CAPACITY) == [CAPACITY] * 3
            wait_until(lambda: len(moment.heard) == CLIENTS - 3 * CAPACITY)  # noqa: B023
            deployed.release_held()
            heard = moment.end()
        assert Counter(answer.status for answer in heard) == {200: 30, 503: 20}
        by = Counter(answer.predictor for answer in heard if answer.status == 200)
        assert by == {"predict1": 10, "predict2": 10, "predict3": 10}
        wait_until(lambda: cooldown_over(deployed))
        assert deployed.path.read_bytes() == deployed.initial
    assert numbers(deployed).total() == ROUNDS * 3 * CAPACITY  # none was sent twice
    assert seen == deployed.router.predictors("peak_load") == [CAPACITY] * 3
    assert deployed.router.events("predict3") == ["promoted", "demoted"] * ROUNDS
    record("moments: promotion", answered_once=ROUNDS * CLIENTS, rounds=ROUNDS)


@pytest.mark.parametrize("how", ["crash", "unhealthy"])
def test_ejection_with_fifty_clients_at_once_answers_each_once(stage: Stage, how: str) -> None:
    """Half the clients wait on the actives when one of them fails, the others come at that moment: all hear 200."""
    deployed = deploy(stage, "--threshold", str(ROOMY))
    half = CLIENTS // 2
    seen = [0, 0, 0]
    for _ in range(ROUNDS):
        with Watched(deployed, seen):
            before = Moment(deployed.router, deployed.hold_all, number=half)
            assert min(wait_for_agreement(deployed, half)[:2]) >= half // 2
            at_it = Moment(deployed.router, lambda: fail(deployed.stubs[0], how), first=half, number=half)
            wait_until(lambda: deployed.router.predictors("state")[0] == "down")
            wait_until(lambda: sum(deployed.held[1:]) == CLIENTS)
            wait_until(lambda: deployed.router.loads() == [0, *deployed.held[1:]])
            deployed.release_held()
            heard = before.end() + at_it.end()
        assert Counter(answer.status for answer in heard) == {200: CLIENTS}
        assert "predict1" not in {answer.predictor for answer in heard}
        recover(deployed.stubs[0], how)
        deployed.hold_all()
        wait_until(lambda: deployed.path.read_bytes() == deployed.initial)
    assert max(numbers(deployed).values()) <= 2 * ROUNDS  # each was sent twice at most
    assert max(seen) <= ROOMY
    assert max(deployed.router.predictors("peak_load")) <= ROOMY
    record(f"moments: ejection ({how})", answered_once=ROUNDS * CLIENTS, rounds=ROUNDS)


def fail(stub: StubPredictor, how: str) -> None:
    """Crashes, or answers no more and fails the health checks."""
    if how == "crash":
        stub.go_down()
    else:
        stub.healthy = False


def recover(stub: StubPredictor, how: str) -> None:
    """Is as before."""
    if how == "crash":
        stub.go_up()
    stub.healthy = True


def test_failback_with_fifty_clients_at_once_gives_the_standby_nothing_new(stage: Stage) -> None:
    """Requests that the standby holds when it steps back finish there; those of that moment go to the actives."""
    deployed = deploy(stage, "--threshold", str(CLIENTS // 2))
    half = CLIENTS // 2
    seen = [0, 0, 0]
    for number in range(1, ROUNDS + 1):
        deployed.stubs[0].go_down()
        wait_until(lambda: deployed.statuses() == [False, True, True])
        with Watched(deployed, seen):
            before = Moment(deployed.router, deployed.hold_all, number=half)
            kept = wait_for_agreement(deployed, half)
            assert kept[2] >= half // 2
            deployed.stubs[0].go_up()
            after = Moment(deployed.router, lambda: stepped_back(deployed, number), first=half, number=half)  # noqa: B023
            assert wait_for_agreement(deployed, CLIENTS)[2] == kept[2]
            deployed.release_held()
            before_it, after_it = before.end(), after.end()
        assert {answer.status for answer in before_it + after_it} == {200}
        assert "predict3" not in {answer.predictor for answer in after_it}
        assert Counter(answer.predictor for answer in before_it)["predict3"] == kept[2]
        deployed.hold_all()
        wait_until(lambda: deployed.path.read_bytes() == deployed.initial)
    assert numbers(deployed) == {b'{"number": %d}' % client: ROUNDS for client in range(CLIENTS)}  # none sent twice
    assert max(seen + deployed.router.predictors("peak_load")) <= CLIENTS // 2
    record("moments: failback", answered_once=ROUNDS * CLIENTS, rounds=ROUNDS)


def stepped_back(deployed: Deployment, times: int) -> None:
    """Waits until the standby has stepped back so many times."""
    wait_until(lambda: deployed.router.events("predict3").count("demoted") == times)


def cooldown_over(deployed: Deployment) -> bool:
    """Whether the standby stepped back a hold-down ago, so that it may be promoted for saturation again."""
    last = deployed.router.snapshot()["events"][-1]
    return bool(last["event"] == "demoted" and time.time() - last["time"] > HOLD_DOWN_S)
