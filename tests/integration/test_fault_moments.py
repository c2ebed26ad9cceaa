"""Fifty clients at the very moments of promotion, ejection and failback, held together by barriers."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.harness.measurements import record
from tests.harness.processes import Router, Stage, statuses, wait_until
from tests.harness.stubs import StubPredictor, ports_of

CLIENTS = 50
ROUNDS = 4
CAPACITY = 10
ROOMY = 60
HOLD_DOWN_S = 0.5
READ_DEADLINE_S = 20


class Heard(NamedTuple):
    """All that came over one client's connection until its end."""

    raw: bytes

    @property
    def statuses(self) -> list[int]:
        """The status of each answer: of one, if all is well."""
        return [int(part[:3]) for part in self.raw.split(b"HTTP/1.1 ")[1:]]

    @property
    def predictor(self) -> str:
        """Who answered; empty if nobody did."""
        return str(json.loads(self.raw.partition(b"\r\n\r\n")[2]).get("predictor", ""))


def ask_once(router: Router, number: int) -> Heard:
    """Send one numbered request and read until the router closes, so that a second answer would be seen."""
    address = urlsplit(router.url)
    body = f'{{"number": {number}}}'.encode()
    head = f"POST /predict HTTP/1.1\r\nHost: router\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    where = (str(address.hostname), int(address.port or 0))
    with socket.create_connection(where, timeout=READ_DEADLINE_S) as sock:
        sock.sendall(head.encode() + body)
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    return Heard(received)


class Moment:
    """Clients who wait at a barrier; the last one to arrive does `trigger`, and then all go at once."""

    def __init__(self, router: Router, trigger: Callable[[], None], first: int = 0, number: int = CLIENTS) -> None:
        self.heard: list[Heard] = []
        self._router = router
        self._barrier = threading.Barrier(number, action=trigger)
        self._threads = [threading.Thread(target=self._go, args=(first + n,)) for n in range(number)]
        for thread in self._threads:
            thread.start()

    def end(self) -> list[Heard]:
        """Wait until every client has its answer."""
        for thread in self._threads:
            thread.join(READ_DEADLINE_S)
        assert len(self.heard) == len(self._threads)
        assert all(len(heard.statuses) == 1 for heard in self.heard)  # exactly one answer each
        return self.heard

    def _go(self, number: int) -> None:
        self._barrier.wait()
        self.heard.append(ask_once(self._router, number))


class Stubbed(NamedTuple):
    """A router on 2active with stubs that hold what they get, and the most that was seen at each of them."""

    router: Router
    path: Path
    stubs: list[StubPredictor]
    seen: list[int]

    def open_requests(self) -> list[int]:
        """How many requests each stub holds now."""
        return [stub.held for stub in self.stubs]

    def wait_for_agreement(self, total: int) -> list[int]:
        """Wait until the loads are the open requests, `total` in all; returns them."""
        with suppress(AssertionError):
            wait_until(lambda: sum(self.open_requests()) == total and self.router.loads() == self.open_requests())
        held = self.open_requests()
        assert (sum(held), self.router.loads()) == (total, held), self.router.picture()["events"]
        return held

    def release_all(self) -> None:
        """Answer what is held, and hold nothing more."""
        for stub in self.stubs:
            stub.let_go()

    def hold_all(self) -> None:
        """Hold what comes from now on."""
        for stub in self.stubs:
            stub.holding = True

    def numbers(self) -> Counter[bytes]:
        """How often each request arrived at any stub."""
        return Counter(request.body for stub in self.stubs for request in stub.received)


def stubbed(stage: Stage, *options: str) -> Stubbed:
    """Start three stubs that hold requests, and a router on 2active."""
    stubs = stage.stubs(3)
    path = stage.topology("2active", ports_of(stubs))
    rig = Stubbed(stage.router(path, "--hold-down", str(HOLD_DOWN_S), *options), path, stubs, [0, 0, 0])
    rig.hold_all()
    return rig


@contextmanager
def watched(rig: Stubbed) -> Iterator[None]:
    """Watch every stub's open requests and every load all along; keeps the most of each."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            for index, held in enumerate(rig.open_requests()):
                rig.seen[index] = max(rig.seen[index], held)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_promotion_with_fifty_clients_at_once_fills_each_place_once(stage: Stage) -> None:
    """Thirty are placed, the standby's ten among them, and twenty are refused; load is what is open, all along."""
    rig = stubbed(stage)
    initial = rig.path.read_bytes()
    for _ in range(ROUNDS):
        with watched(rig):
            moment = Moment(rig.router, rig.hold_all)
            assert rig.wait_for_agreement(3 * CAPACITY) == [CAPACITY] * 3
            wait_until(lambda: len(moment.heard) == CLIENTS - 3 * CAPACITY)  # noqa: B023
            rig.release_all()
            heard = moment.end()
        assert Counter(answer.statuses[0] for answer in heard) == {200: 30, 503: 20}
        by = Counter(answer.predictor for answer in heard if answer.statuses == [200])
        assert by == {"predict1": 10, "predict2": 10, "predict3": 10}
        wait_until(lambda: rested(rig))
        assert rig.path.read_bytes() == initial
    assert rig.numbers().total() == ROUNDS * 3 * CAPACITY  # none was sent twice
    assert rig.seen == rig.router.predictors("peak_load") == [CAPACITY] * 3
    assert rig.router.events("predict3") == ["promoted", "demoted"] * ROUNDS
    record("moments: promotion", answered_once=ROUNDS * CLIENTS, rounds=ROUNDS)


@pytest.mark.parametrize("how", ["crash", "ill"])
def test_ejection_with_fifty_clients_at_once_answers_each_once(stage: Stage, how: str) -> None:
    """Half the clients wait on the actives when one of them fails, the others come at that moment: all hear 200."""
    rig = stubbed(stage, "--threshold", str(ROOMY))
    initial = rig.path.read_bytes()
    half = CLIENTS // 2
    for _ in range(ROUNDS):
        with watched(rig):
            before = Moment(rig.router, rig.hold_all, number=half)
            assert min(rig.wait_for_agreement(half)[:2]) >= half // 2
            at_it = Moment(rig.router, lambda: fail(rig.stubs[0], how), first=half, number=half)
            wait_until(lambda: rig.router.predictors("state")[0] == "down")
            wait_until(lambda: sum(rig.open_requests()[1:]) == CLIENTS)
            wait_until(lambda: rig.router.loads() == [0, *rig.open_requests()[1:]])
            rig.release_all()
            heard = before.end() + at_it.end()
        assert Counter(answer.statuses[0] for answer in heard) == {200: CLIENTS}
        assert "predict1" not in {answer.predictor for answer in heard}
        recover(rig.stubs[0], how)
        rig.hold_all()
        wait_until(lambda: rig.path.read_bytes() == initial)
    assert max(rig.numbers().values()) <= 2 * ROUNDS  # each was sent twice at most
    assert max(rig.seen) <= ROOMY
    assert max(rig.router.predictors("peak_load")) <= ROOMY
    record(f"moments: ejection ({how})", answered_once=ROUNDS * CLIENTS, rounds=ROUNDS)


def fail(stub: StubPredictor, how: str) -> None:
    """Crash, or answer no more and fail the health checks."""
    if how == "crash":
        stub.go_down()
    else:
        stub.healthy = False


def recover(stub: StubPredictor, how: str) -> None:
    """Be as before."""
    if how == "crash":
        stub.go_up()
    stub.healthy = True


def test_failback_with_fifty_clients_at_once_gives_the_standby_nothing_new(stage: Stage) -> None:
    """Requests that the standby holds when it steps back finish there; those of that moment go to the actives."""
    rig = stubbed(stage, "--threshold", str(CLIENTS // 2))
    initial = rig.path.read_bytes()
    half = CLIENTS // 2
    for number in range(1, ROUNDS + 1):
        rig.stubs[0].go_down()
        wait_until(lambda: statuses(rig.path) == [False, True, True])
        with watched(rig):
            before = Moment(rig.router, rig.hold_all, number=half)
            kept = rig.wait_for_agreement(half)
            assert kept[2] >= half // 2
            rig.stubs[0].go_up()
            after = Moment(rig.router, lambda: stepped_back(rig, number), first=half, number=half)  # noqa: B023
            assert rig.wait_for_agreement(CLIENTS)[2] == kept[2]
            rig.release_all()
            heard = before.end() + after.end()
        assert {answer.statuses[0] for answer in heard} == {200}
        assert "predict3" not in {answer.predictor for answer in after.heard}
        assert Counter(answer.predictor for answer in before.heard)["predict3"] == kept[2]
        rig.hold_all()
        wait_until(lambda: rig.path.read_bytes() == initial)
    assert rig.numbers() == {b'{"number": %d}' % client: ROUNDS for client in range(CLIENTS)}  # none sent twice
    assert max(rig.seen + rig.router.predictors("peak_load")) <= CLIENTS // 2
    record("moments: failback", answered_once=ROUNDS * CLIENTS, rounds=ROUNDS)


def stepped_back(rig: Stubbed, times: int) -> None:
    """Wait until the standby has stepped back so many times."""
    wait_until(lambda: rig.router.events("predict3").count("demoted") == times)


def rested(rig: Stubbed) -> bool:
    """Whether the standby stepped back a hold-down ago, so that it may be promoted for saturation again."""
    last = rig.router.picture()["events"][-1]
    return bool(last["event"] == "demoted" and time.time() - last["time"] > HOLD_DOWN_S)
