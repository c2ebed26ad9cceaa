"""The router is asked to stop while clients go on: SIGTERM and Ctrl-C, under load, with every kind of connection."""

import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.harness.http_client import connect, try_fetch, until_end
from tests.harness.load import SERVICE_TIME_S
from tests.harness.measurements import record
from tests.harness.processes import Router
from tests.harness.project import side_files
from tests.harness.stage import Stage
from tests.harness.waiting import Background, wait_until

REFUSED = b"ConnectionRefusedError"  # nobody listens any more: the request was never accepted
REQUEST = b"GET /predict HTTP/1.1\r\nHost: router\r\n\r\n"
STORM_CLIENTS = 8
STOPPED_WITHIN_S = 5.0
STORMS = 3


def idle_connections(router: Router, number: int) -> list[HTTPConnection]:
    """Opens connections that have had one answer and wait for their next request."""
    opened = [HTTPConnection(urlsplit(router.url).netloc, timeout=20) for _ in range(number)]
    for connection in opened:
        connection.request("GET", "/predict")
        assert connection.getresponse().read()
    return opened


def assert_pipelined_are_answered_or_may_be_asked_again(heard: bytes) -> None:
    """The first of two requests is answered; if the second is not, the first answer told that none follows."""
    assert heard.startswith(b"HTTP/1.1 200 ")
    answers = heard.count(b"HTTP/1.1 200 ")
    assert answers == heard.count(b'"predictor"')
    assert answers == 2 or b"connection: close" in heard.lower()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "ctrl-c"])
def test_router_stopped_under_load_answers_what_it_accepted(stage: Stage, signum: signal.Signals) -> None:
    """Every accepted request is answered, idle connections are closed, exit 0, and the file is as at first."""
    deployed = stage.deploy_echo()
    deployed.router.order("predict1", "drain")
    wait_until(lambda: deployed.statuses() == [False, True, True])
    idle = idle_connections(deployed.router, 5)
    with deployed.load() as load:
        wait_until(lambda: len(load.answers) > 5)
        pipelined = [connect(deployed.url) for _ in range(3)]
        for sock in pipelined:
            sock.sendall(REQUEST * 2)
        wait_until(lambda: sum(deployed.router.loads()) >= len(pipelined))
        asked_at_s = time.monotonic()
        deployed.router.signal(signum)
        assert deployed.router.wait() == 0
        took_s = time.monotonic() - asked_at_s
        wait_until(load.lost)  # a request after the stop
    for sock in pipelined:
        with sock:
            assert_pipelined_are_answered_or_may_be_asked_again(until_end(sock))
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
    assert took_s < STOPPED_WITHIN_S  # idle clients are not waited for
    assert (deployed.path.read_bytes(), side_files(deployed.path)) == (deployed.initial, [])
    assert deployed.router.output().endswith(f"router: stopped; {deployed.path} is back in its initial state\n")
    assert deployed.router.errors() == ""


def test_router_stopped_with_a_backlog_answers_it(stage: Stage) -> None:
    """Connections that only the kernel had accepted when the stop was asked for are answered too."""
    deployed = stage.deploy("2active", service_time_s=SERVICE_TIME_S)
    router = deployed.router
    router.signal(signal.SIGSTOP)
    sent = deployed.send(20)
    router.signal(signal.SIGTERM)
    router.signal(signal.SIGCONT)
    assert [exchange.answer().status for exchange in sent] == [200] * 20
    assert router.wait() == 0
    assert deployed.path.read_bytes() == deployed.initial


def test_router_started_while_the_one_before_still_ends_its_requests_takes_its_turn(stage: Stage) -> None:
    """It listens at once, so that nobody is refused, and opens the topology file when the other one has let go."""
    deployed = stage.deploy("single", number=1)
    old, [held] = deployed.router, deployed.hold(1)
    ports = [f"--{name}={urlsplit(url).port}" for name, url in (("port", old.url), ("admin-port", old.admin_url))]
    old.signal(signal.SIGTERM)
    wait_until(lambda: not listens(old.url))
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(stage.router, deployed.path, *ports)
        wait_until(lambda: listens(old.url))
        [waiting] = deployed.send(1)
        told = f"process {old.pid} still ends its requests on it: waited for"
        wait_until(lambda: [each for each in stage.folder.glob("router-*.err") if told in each.read_text()])
        assert old.running()
        deployed.release_held()
        new = starting.result()
    assert [held.answer().status, waiting.answer().status] == [200, 200]
    assert old.wait() == 0
    assert new.snapshot()["pid"] == new.pid
    assert deployed.router.errors() == ""


def listens(url: str) -> bool:
    """Whether a connection can be made."""
    try:
        connect(url).close()
    except ConnectionRefusedError:
        return False
    return True


class Storm(Background):
    """Clients who connect and ask as fast as they can until nobody listens any more."""

    def __init__(self, router: Router) -> None:
        super().__init__()
        self.heard: Counter[str] = Counter()
        self._url = router.url

    def _work(self) -> None:
        with ThreadPoolExecutor(STORM_CLIENTS) as pool:
            for _ in range(STORM_CLIENTS):
                pool.submit(self._fetch_on, time.monotonic() + 20)

    def _fetch_on(self, end_s: float) -> None:
        while time.monotonic() < end_s:
            answer = try_fetch(self._url)
            if answer.body == REFUSED:
                return
            self.heard[f"{answer.status} {answer.body.decode() if answer.status != 200 else ''}"] += 1


def test_router_stopped_in_a_storm_of_new_connections_cuts_none_off(stage: Stage) -> None:
    """While connections keep coming, each is either answered or refused: none is accepted and then dropped."""
    deployed = stage.deploy("3active")
    heard: Counter[str] = Counter()
    for again in range(STORMS):
        if again:
            deployed.router = stage.router(deployed.path)
        with Storm(deployed.router) as storm:
            wait_until(lambda storm=storm: sum(storm.heard.values()) > 100)  # type: ignore[misc]
            assert deployed.router.stop() == 0
        heard += storm.heard
    assert set(heard) == {"200 "}, heard
