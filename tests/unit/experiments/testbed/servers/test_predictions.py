"""Predictions asked of a server directly: what is sent, what counts as good, what a closed connection does."""

import heapq
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import fmean, median

import pytest

from experiments.testbed.ports import free_ports
from experiments.testbed.servers.predictions import NO_ANSWER, Answer, Askers, Burst, Client, Pace
from experiments.testbed.signals import StopRequest
from server_file import Place, Server

HEAD_END = b"\r\n\r\n"


class OneAnswerServer:
    """Answers one request on each connection, and closes it without having said so; notes what it got."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.status = 200
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = Place("a", "127.0.0.1", (self._listener.getsockname()[1],))
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.got.append(_request(connection))
                connection.sendall(f"HTTP/1.1 {self.status} X\r\nContent-Length: 2\r\n\r\n{{}}".encode())


def _request(connection: socket.socket) -> bytes:
    """One whole request."""
    got = b""
    while True:
        head, end, body = got.partition(HEAD_END)
        length = re.search(rb"Content-Length: (\d+)", head)
        if end and len(body) >= (int(length[1]) if length else 0):
            return got
        got += connection.recv(65536)


def predict(server: Server, place: Place) -> Answer:
    """One prediction on a connection of its own."""
    with closing(Client(server, place, 5.0)) as client:
        return client.predict()


@pytest.fixture
def server() -> Iterator[OneAnswerServer]:
    """One that is ended."""
    made = OneAnswerServer()
    yield made
    made.close()


POSTS = Server(path="/score", payload=b'{"x": 1}', headers={"X-Key": "k"})


def test_prediction_is_sent_as_loads_send_it(server: OneAnswerServer) -> None:
    """POST of the payload with its type and the file's headers; GET without a payload."""
    answer = predict(POSTS, server.place)
    head, _, body = server.got[0].partition(HEAD_END)
    assert (answer.status, answer.good, answer.body) == (200, True, b"{}")
    assert head.startswith(b"POST /score HTTP/1.1\r\n")
    assert b"Content-Type: application/json" in head
    assert b"X-Key: k" in head
    assert body == POSTS.payload
    predict(Server(path="/score"), server.place)
    assert server.got[1].startswith(b"GET /score HTTP/1.1\r\n")


def test_connection_that_the_server_had_closed_is_no_failure(server: OneAnswerServer) -> None:
    """The prediction is asked for again, on a new one."""
    with closing(Client(Server(), server.place, 5.0)) as client:
        assert [client.predict().status for _ in range(3)] == [200, 200, 200]


def test_refusal_is_an_answer_and_not_good(server: OneAnswerServer) -> None:
    """Counted by its status."""
    server.status = 503
    answer = predict(Server(), server.place)
    assert (answer.status, answer.good) == (503, False)


def test_server_that_is_not_there_gives_no_answer() -> None:
    """A status of its own; nothing is raised."""
    assert predict(Server(), Place("a", "127.0.0.1", tuple(free_ports(1)))).status == NO_ANSWER


def test_askers_ask_at_once_and_come_to_an_end(server: OneAnswerServer) -> None:
    """Each its number of predictions; health is asked for meanwhile only if wanted."""
    askers = Askers(Server(), server.place, 5.0, 3, Pace(2, 0.0, 5.0))
    askers.start()
    askers.wait(StopRequest())
    assert (askers.burst.asked, len(askers.burst.good_s), askers.burst.health) == (6, 6, [])
    assert askers.burst.said == "6 x 200"
    assert len(askers.burst.ended_s) == 3


def burst_of(servers: int, takes_s: Callable[[], float], at_once: int, pace: Pace) -> Burst:
    """What so many at once get of so many that answer one after the other each, in the order of asking."""
    burst, free_s, asked = Burst(at_once), [0.0] * servers, [0] * at_once
    asks = [(0.0, each) for each in range(at_once)]
    while asks:
        now_s, asker = heapq.heappop(asks)
        if not pace.goes_on(asked[asker], now_s):
            burst.ended_s.append(now_s)
            continue
        asked[asker] += 1
        done_s = max(now_s, heapq.heappop(free_s)) + takes_s()
        heapq.heappush(free_s, done_s)
        burst.answers.append(Answer(200, done_s - now_s, now_s))
        heapq.heappush(asks, (done_s, asker))
    return burst


@pytest.mark.parametrize(
    ("servers", "takes_s", "at_once", "per_s"),
    [
        (1, 1.0, 10, 1.0),
        (1, 0.01, 10, 100.0),
        (1, 3.0, 10, 1 / 3),
        (4, 0.1, 10, 40.0),
        (10, 0.5, 10, 20.0),
        (1, 0.2, 1, 5),
    ],
)
def test_burst_answers_per_second_are_what_the_server_does(
    servers: int, takes_s: float, at_once: int, per_s: float
) -> None:
    """A slow one, stopped after 5 s, too: by its latencies one at a time of 1 s would answer 1.33 per second."""
    chance = random.Random(1)
    burst = burst_of(servers, lambda: takes_s * chance.uniform(0.999, 1.001), at_once, Pace(5, 0.5, 5.0))
    assert burst.answers_per_s == pytest.approx(per_s, rel=0.02)


def test_burst_answers_per_second_are_the_same_in_the_mean_where_times_vary() -> None:
    """Exponential ones: of 400 bursts, neither the first answers nor the last ones tell."""
    chance = random.Random(1)
    bursts = [burst_of(2, lambda: chance.expovariate(10.0), 10, Pace(20, 0.5, 5.0)) for _ in range(400)]
    assert fmean(burst.answers_per_s or 0 for burst in bursts) == pytest.approx(20, rel=0.02)


def test_burst_answers_per_second_count_good_ones_alone() -> None:
    """One that had none has no such figure."""
    burst = burst_of(1, lambda: 0.1, 2, Pace(50, 0.0, 60.0))
    burst.answers = [
        Answer(503, each.latency_s, each.sent_s) if k % 2 else each for k, each in enumerate(burst.answers)
    ]
    assert burst.answers_per_s == pytest.approx(5, rel=0.05)
    assert Burst(1, [Answer(503, 0.1, 0.0)]).answers_per_s is None


class InTwoWrites(BaseHTTPRequestHandler):
    """Keeps the connection, and writes head and body of its answer one by one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # http.server's name
        """Answers."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux alone")
def test_answer_in_two_writes_is_not_delayed_by_its_own_acknowledgement() -> None:
    """Else a server of http.server seems 40 ms slower to who asks without a pause than to the router's clients."""
    with ThreadingHTTPServer(("127.0.0.1", 0), InTwoWrites) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = Place("a", "127.0.0.1", (server.server_port,))
        with closing(Client(Server(), place, 5.0)) as client:
            assert median(client.predict().latency_s for _ in range(15)) < 0.025
        server.shutdown()
