"""A request over real connections to a predictor in the same process: which are used again, and what an end means."""

import socket
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import gevent
import pytest
from gevent.server import StreamServer

from routing.topology import Entry, Role
from routing.upstream.client import TCP_QUICKACK, Request, Upstream
from routing.upstream.errors import (
    ConnectionClosed,
    ConnectionRefused,
    HealthCheckFailed,
    ResetBeforeRead,
    UnusableResponse,
)
from routing.upstream.response import Response
from server_file import OWN, Server
from tests.harness.http_client import RESET

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
REQUEST = Request(b"[1]", {"Content-Type": "application/json"})


class Predictor:
    """Says `said` to each request; then the connection stays open, ends, or is reset."""

    def __init__(self, server: Server = OWN) -> None:
        self.said, self.then = WHOLE, "stay"
        self.pieces = 1
        self.connections = 0
        self.heard: list[bytes] = []
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        port = self._server.server_port
        self.upstream = Upstream(Entry("a", "127.0.0.1", port, capacity=4, role=Role.ACTIVE, server=server))

    def send(self) -> Response:
        """Forwards one request, and lets the predictor finish with it."""
        answer = self.upstream.send(REQUEST)
        gevent.sleep(0.005)
        return answer

    def close(self) -> None:
        """Ends it."""
        self.upstream.close()
        self._server.stop()

    def _serve(self, connection: Any, _: Any) -> None:
        self.connections += 1
        while heard := connection.recv(1 if self.then == "reset" else 65_536):
            self.heard.append(heard)
            size = -(-len(self.said) // self.pieces) or 1
            for start in range(0, len(self.said), size):
                connection.sendall(self.said[start : start + size])
            if self.then == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            if self.then != "stay":
                break
        connection.close()


@pytest.fixture
def predictor() -> Iterator[Predictor]:
    """A predictor and the way to it."""
    predictor = Predictor()
    yield predictor
    predictor.close()


def test_send_one_after_the_other_uses_one_connection(predictor: Predictor) -> None:
    """A connection lasts for many requests; one that asks for its own gets one."""
    assert {predictor.send().status for _ in range(3)} == {200}
    assert predictor.connections == 1
    predictor.upstream.send(REQUEST, fresh=True)
    assert predictor.connections == 2


@pytest.mark.skipif(TCP_QUICKACK is None, reason="only Linux can acknowledge at once")
def test_send_answer_in_two_pieces_on_a_kept_connection_is_not_held_up(predictor: Predictor) -> None:
    """A server that sends head and body apart waits for the first to be acknowledged, each time, which takes 40 ms."""
    predictor.pieces = 2
    took_s = []
    for _ in range(9):
        began_s = time.monotonic()
        assert predictor.send().status == 200
        took_s.append(time.monotonic() - began_s)
    assert (median(took_s) < 0.03, predictor.connections) == (True, 1)


def test_send_request_is_one_piece_with_host_and_length(predictor: Predictor) -> None:
    """What the predictor hears is a whole request, and says nothing of the client's or the router's own."""
    predictor.send()
    head, _, body = predictor.heard[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    port = predictor.upstream.entry.port
    assert (lines[0], body) == ("POST /predict HTTP/1.1", REQUEST.body)
    assert set(lines[1:]) == {
        f"Host: 127.0.0.1:{port}",
        "Accept-Encoding: identity",
        "Content-Type: application/json",
        "Content-Length: 3",
    }


@pytest.fixture
def other() -> Iterator[Predictor]:
    """A predictor that is not the rig's own."""
    headers = {"X-Key": "k", "content-type": "text/own", "Accept-Encoding": "gzip"}
    predictor = Predictor(Server(path="/score?x=1", health="/up", headers=headers, health_interval_s=0.01))
    yield predictor
    predictor.close()


def test_send_another_server_is_asked_on_its_path_with_its_headers(other: Predictor) -> None:
    """The file's headers go before the client's and the router's own, whatever their letters."""
    other.send()
    head = other.heard[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0] == "POST /score?x=1 HTTP/1.1"
    assert set(head[2:]) == {"X-Key: k", "content-type: text/own", "Accept-Encoding: gzip", "Content-Length: 3"}
    other.upstream.send(Request(b"", {}, "GET"))
    assert other.heard[1].startswith(b"GET /score?x=1 HTTP/1.1\r\n")


@pytest.mark.parametrize("status", [200, 204, 299])
def test_check_health_any_2xx_is_well(other: Predictor, status: int) -> None:
    """On its own path, with the headers."""
    other.said = b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % status
    other.upstream.check_health()
    assert other.heard[0].startswith(b"GET /up HTTP/1.1\r\n")
    assert b"X-Key: k\r\n" in other.heard[0]


def test_check_health_closes_connections_that_nobody_uses(other: Predictor) -> None:
    """A server that counts connections, and is full at its limit, is not kept full by idle ones."""
    other.send()
    gevent.sleep(0.02)
    other.upstream.check_health()
    other.send()
    assert other.connections == 3


def test_check_health_none_asks_for_a_connection_only() -> None:
    """Where the server file says so."""
    predictor = Predictor(Server(health=None))
    predictor.upstream.check_health()
    gevent.sleep(0.005)
    assert (predictor.connections, predictor.heard) == (1, [])
    predictor.close()
    with pytest.raises(ConnectionRefused):
        predictor.upstream.check_health()


def test_send_after_the_predictor_closed_an_idle_connection_is_answered(predictor: Predictor) -> None:
    """A connection that ended while nobody used it is no failure: the next request gets a new one."""
    predictor.then = "end"
    assert [predictor.send().status for _ in range(3)] == [200, 200, 200]
    assert predictor.connections == 3


@pytest.mark.parametrize(
    ("said", "then", "failure"),
    [(b"", "end", ConnectionClosed), (b"", "reset", ResetBeforeRead), (WHOLE[:-1], "end", UnusableResponse),
     (WHOLE[:-1], "reset", UnusableResponse)],
    ids=["closed", "reset", "cut", "cut_by_reset"],
)  # fmt: skip
def test_send_end_before_the_answers_end_is_named(
    predictor: Predictor, said: bytes, then: str, failure: type[Exception]
) -> None:
    """Reset with the request unread, closed without a word, and cut short are told apart."""
    predictor.said, predictor.then = said, then
    with pytest.raises(failure) as raised:
        predictor.send()
    assert type(raised.value) is failure


def test_send_header_with_a_line_break_is_never_sent(predictor: Predictor) -> None:
    """Whatever let it through in front, no value becomes a header of its own."""
    with pytest.raises(ValueError, match="line break"):
        predictor.upstream.send(Request(b"", {"Content-Type": "a/b\r\nX-Own: 1"}))
    assert predictor.connections == 0


def test_check_health_answered_otherwise_than_2xx_names_status_and_path(predictor: Predictor) -> None:
    """Whoever gave a wrong port, or another kind of server, reads what was asked for and what came."""
    predictor.said = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(HealthCheckFailed, match=r"^health check answered 404 to GET /health$"):
        predictor.upstream.check_health()
