"""The router is asked to stop while clients go on: SIGTERM and Ctrl-C, under load, with every kind of connection."""

import signal
import socket
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.harness.load import SERVICE_TIME_S, QuizLoad, echo_rig, try_to_ask
from tests.harness.measurements import record
from tests.harness.processes import Router, Stage, side_files, statuses, wait_until
from tests.harness.stubs import ports_of

REFUSED = b"ConnectionRefusedError"  # nobody listens any more: the request was never accepted
REQUEST = b"GET /predict HTTP/1.1\r\nHost: router\r\n\r\n"
STORM_CLIENTS = 8
STORMS = 3


def connected(router: Router) -> socket.socket:
    """Open a connection to the public port."""
    address = urlsplit(router.url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=20)


def idle_connections(router: Router, number: int) -> list[HTTPConnection]:
    """Open connections that have had one answer and wait for their next request."""
    opened = [HTTPConnection(urlsplit(router.url).netloc, timeout=20) for _ in range(number)]
    for connection in opened:
        connection.request("GET", "/predict")
        assert connection.getresponse().read()
    return opened


def read_to_end(sock: socket.socket) -> bytes:
    """Read until the other side closes."""
    with sock:
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    return received


def assert_pipelined_are_answered_or_may_be_asked_again(heard: bytes) -> None:
    """The first of two requests is answered; if the second is not, the first answer told that none follows."""
    assert heard.startswith(b"HTTP/1.1 200 ")
    answers = heard.count(b"HTTP/1.1 200 ")
    assert answers == heard.count(b'"predictor"')
    assert answers == 2 or b"connection: close" in heard.lower()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "ctrl-c"])
def test_router_stopped_under_load_answers_what_it_accepted(stage: Stage, signum: signal.Signals) -> None:
    """Every accepted request is answered, idle connections are closed, exit 0, and the file is as at first."""
    rig = echo_rig(stage)
    rig.router.order("predict1", "drain")
    wait_until(lambda: statuses(rig.path) == [False, True, True])
    idle = idle_connections(rig.router, 5)
    with QuizLoad(rig) as load:
        wait_until(lambda: len(load.answers) > 5)
        pipelined = [connected(rig.router) for _ in range(3)]
        for sock in pipelined:
            sock.sendall(REQUEST * 2)
        wait_until(lambda: sum(rig.router.loads()) >= len(pipelined))
        asked_at_s = time.monotonic()
        rig.router.signal(signum)
        assert rig.router.wait() == 0
        took_s = time.monotonic() - asked_at_s
        wait_until(load.lost)  # a request after the stop
    for sock in pipelined:
        assert_pipelined_are_answered_or_may_be_asked_again(read_to_end(sock))
    for connection in idle:
        assert connection.sock.recv(1) == b""
        connection.close()
    assert {(lost.status, lost.body) for lost in load.lost()} == {(0, REFUSED)}
    assert all(lost.sent_at_s + lost.took_s > asked_at_s for lost in load.lost())
    assert load.wrong() == []
    in_flight = sum(a.sent_at_s < asked_at_s < a.sent_at_s + a.took_s for a in load.answers) + len(pipelined)
    accepted = len(load.answers) - len(load.lost())
    record(f"router stopped ({signum.name})", lost=0, of=accepted, in_flight=in_flight, stopped_after_s=took_s)
    assert in_flight > len(pipelined)
    assert (rig.path.read_bytes(), side_files(rig.path)) == (rig.initial, [])


def test_router_stopped_with_a_backlog_answers_it(stage: Stage) -> None:
    """Connections that only the kernel had accepted when the stop was asked for are answered too."""
    stubs = stage.stubs(3, SERVICE_TIME_S)
    path = stage.topology("2active", ports_of(stubs))
    initial = path.read_bytes()
    router = stage.router(path)
    router.signal(signal.SIGSTOP)
    sent = stage.hold(router, 20)
    router.signal(signal.SIGTERM)
    router.signal(signal.SIGCONT)
    assert [exchange.answer().status for exchange in sent] == [200] * 20
    assert router.wait() == 0
    assert path.read_bytes() == initial


class Storm:
    """Clients who connect and ask as fast as they can until nobody listens any more."""

    def __init__(self, router: Router) -> None:
        self.heard: Counter[str] = Counter()
        self._url = router.url
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(STORM_CLIENTS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until every client has been refused."""
        for thread in self._threads:
            thread.join(20)

    def _ask_on(self) -> None:
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            answer = try_to_ask(self._url, None)
            if answer.body == REFUSED:
                return
            self.heard[f"{answer.status} {answer.body.decode() if answer.status != 200 else ''}"] += 1


def test_router_stopped_in_a_storm_of_new_connections_cuts_none_off(stage: Stage) -> None:
    """While connections keep coming, each is either answered or refused: none is accepted and then dropped."""
    stubs = stage.stubs(3)
    path = stage.topology("3active", ports_of(stubs))
    heard: Counter[str] = Counter()
    for _ in range(STORMS):
        router = stage.router(path)
        storm = Storm(router)
        wait_until(lambda storm=storm: sum(storm.heard.values()) > 100)  # type: ignore[misc]
        assert router.stop() == 0
        storm.end()
        heard += storm.heard
    assert set(heard) == {"200 "}, heard
