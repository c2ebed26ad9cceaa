"""What of a request reaches a predictor, what of its answer reaches the client, and what the environment may say."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.endpoint import Endpoint, open_router
from tests.harness.http_client import CHUNKED, HOST, SMUGGLED, Answer, chunked, post, until_end
from tests.harness.project import SAMPLE
from tests.harness.stage import Stage
from tests.harness.stubs import Received, StubPredictor, answers, sends
from tests.harness.waiting import wait_until

NEEDED = {"host", "content-type", "content-length", "content-encoding"}
ROUTERS_OWN = {"accept-encoding": "identity"}
"""What the router says of itself beside what is needed, and a User-Agent; neither comes from the client."""

OWN_OF_CLIENTS = [
    *(
        "Accept-Language",
        "From",
        "HTTP2-Settings",
        "If-None-Match",
        "Keep-Alive",
        "Traceparent",
        "Upgrade",
        "User-Agent",
    ),
    *("Via", "X-Api-Key", "X-Forwarded-For", "X-Forwarded-Host", "X-Own", "X-Predictor"),
]
CLIENTS = dict.fromkeys(OWN_OF_CLIENTS, "own") | {
    "Accept": "text/own",
    "Accept-Encoding": "gzip",
    "Authorization": "Basic own",
    "Connection": "keep-alive, X-Own",
    "Cookie": "own=1",
    "Expect": "100-continue",
    "Forwarded": "for=own",
    "Origin": "http://own",
    "Proxy-Authorization": "Basic own",
    "Proxy-Connection": "keep-alive",
    "Range": "bytes=0-0",
    "Referer": "http://own/",
    "TE": "trailers, own",
    "Trailer": "X-Own",
}
OWN_OF_PREDICTORS = (
    "Keep-Alive Proxy-Authenticate Public-Key-Pins Server Upgrade Via WWW-Authenticate X-Own X-Predictor"
)
OF_PREDICTOR = dict.fromkeys(OWN_OF_PREDICTORS.split(), "own") | {
    "Access-Control-Allow-Origin": "*",
    "Alt-Svc": 'h2="own:1"',
    "Clear-Site-Data": '"*"',
    "Link": "</own>",
    "Location": "/own",
    "Refresh": "0;url=/own",
    "Set-Cookie": "own=1",
    "Strict-Transport-Security": "max-age=1",
    "Trailer": "X-Own",
}


@pytest.fixture(scope="module")
def opened(shared_stage: Stage) -> Endpoint:
    """A router before a stub, for all tests of the module."""
    return open_router(shared_stage)


@pytest.fixture
def endpoint(opened: Endpoint) -> Iterator[Endpoint]:
    """The router, which must be sound after each test."""
    with opened.watched():
        yield opened
        opened.stub.script = answers()


def received(endpoint: Endpoint, sent: bytes) -> Received:
    """Sends one request; returns what the predictor got."""
    [heard] = endpoint.responses(sent)
    assert heard.status == 200
    [request] = endpoint.stub.received
    return request


def answered(endpoint: Endpoint, status: int, lines: str, body: bytes = b"{}", finish: bool = True) -> Answer:
    """Sends one request that the predictor answers with these header lines; returns the router's answer."""
    head = f"HTTP/1.1 {status} Own\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    endpoint.stub.script = sends(head.encode("latin-1") + body)
    [heard] = endpoint.responses(post(b"" if finish else b"Connection: close\r\n"), finish=finish)
    return heard


def header_lines(headers: dict[str, str]) -> str:
    """Headers as they are sent."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


# Towards the predictor


def assert_only_needed(endpoint: Endpoint, request: Received) -> None:
    """Checks that nothing but what is needed, and the router's own, has reached the predictor."""
    own = {name: value for name, value in request.headers.items() if name not in NEEDED}
    assert "python-urllib3" in own.pop("user-agent", "python-urllib3")
    assert own == ROUTERS_OWN
    assert request.headers["host"] == f"127.0.0.1:{endpoint.stub.port}"
    assert request.headers["content-length"] == str(len(request.body))


def test_request_gives_the_predictor_what_it_needs_and_no_more(endpoint: Endpoint) -> None:
    """Type, coding and length go on, with the predictor's own Host; cookies, credentials and the rest do not."""
    lines = header_lines(CLIENTS).encode() + b"Content-Encoding: own\r\n"
    request = received(endpoint, post(lines).replace(b"/predict", b"/predict?own=1", 1))
    assert_only_needed(endpoint, request)
    assert (request.method, request.path, request.body) == ("POST", "/predict", SAMPLE)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-encoding"] == "own"


def test_request_by_get_is_passed_on_with_nothing_else_of_the_clients(endpoint: Endpoint) -> None:
    """A GET stays one; its own headers and query stay here, as a POST's do."""
    lines = header_lines(CLIENTS).encode()
    request = received(endpoint, b"GET /predict?own=1 HTTP/1.1\r\n" + HOST + lines + b"\r\n")
    assert_only_needed(endpoint, request)
    assert (request.method, request.path, request.body) == ("GET", "/predict", b"")


def test_request_in_chunks_is_sent_on_with_its_length(endpoint: Endpoint) -> None:
    """The framing between client and router ends here: the predictor gets a plain length, and no trailer."""
    request = received(endpoint, CHUNKED + chunked(SAMPLE, 7)[:-2] + b"X-Own: 1\r\nCookie: own=1\r\n\r\n")
    assert_only_needed(endpoint, request)
    assert request.body == SAMPLE


def test_request_that_names_framing_as_hop_by_hop_is_framed_all_the_same(endpoint: Endpoint) -> None:
    """Connection cannot take away the headers that the router itself writes."""
    request = received(endpoint, post(b"Connection: close, Content-Length, Content-Type, Host\r\n"))
    assert_only_needed(endpoint, request)
    assert request.body == SAMPLE


@pytest.mark.parametrize("body", [SMUGGLED, b"\r\n\r\n" + SMUGGLED, b"0\r\n\r\n" + SMUGGLED, b"", b"\x00\xff\r\n"])
def test_request_whose_body_looks_like_one_is_one_request(endpoint: Endpoint, body: bytes) -> None:
    """A body is bytes of a known number, here and on the way to the predictor."""
    assert received(endpoint, post(b"", body)).body == body


def test_request_without_a_type_gets_none(endpoint: Endpoint) -> None:
    """The router invents no type for the client's body."""
    sent = b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}"
    assert "content-type" not in received(endpoint, sent).headers


@pytest.mark.parametrize(
    "value",
    ["a/b; c=d", 'a/b; c="\\"e"', "x" * 4_000, "a/b, c/d", "%0d%0aX-Own: 1", "a/b;\tc=d"],
    ids=["parameter", "quoted", "long", "list", "escaped", "tab"],
)
def test_request_type_is_passed_on_as_it_is(endpoint: Endpoint, value: str) -> None:
    """The type is the client's own; it cannot become another header."""
    request = received(endpoint, post().replace(b"application/json", value.encode(), 1))
    assert request.headers["content-type"] == value
    assert_only_needed(endpoint, request)


# Towards the client


def test_answer_loses_what_is_between_predictor_and_router(endpoint: Endpoint) -> None:
    """Hop-by-hop headers, cookies and all else that speaks of the predictor's own address end at the router."""
    heard = answered(endpoint, 200, "Content-Type: application/json\r\nRetry-After: 7\r\n" + header_lines(OF_PREDICTOR))
    assert "own" not in str(heard.headers).lower()
    assert heard.headers["x-predictor"] == "predict1"
    assert heard.headers["retry-after"] == "7"
    known = {"server", "date", "connection", "content-type", "content-length", "retry-after", "x-predictor"}
    assert heard.headers.keys() <= known


@pytest.mark.parametrize("status", [201, 202, 400, 404, 409, 413, 415, 422, 429])
def test_answer_of_any_kind_is_passed_on(endpoint: Endpoint, status: int) -> None:
    """The predictor's status and body reach the client, its 4xx too."""
    heard = answered(endpoint, status, "Content-Type: application/json\r\n", b'{"own": 1}')
    assert (heard.status, heard.body) == (status, b'{"own": 1}')


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["same", "other"])
def test_answer_that_redirects_is_not_followed(endpoint: Endpoint, stage: Stage, status: int, place: str) -> None:
    """Where a predictor points, the router does not go, and does not send its client."""
    [other] = stage.stubs(1)
    port = endpoint.stub.port if place == "same" else other.port
    lines = f"Content-Type: application/json\r\nLocation: http://127.0.0.1:{port}/predict\r\n"
    heard = answered(endpoint, status, lines)
    assert heard.status == status
    assert "location" not in heard.headers
    assert other.received == []
    assert len(endpoint.stub.received) == 1


BROKEN = {
    "type_with_control": "Content-Type: application/json\x01\r\n",
    "type_with_nul": "Content-Type: application/json\x00\r\n",
    "type_with_escape": "Content-Type: application/json\x1b[2J\r\n",
    "retry_with_nul": "Content-Type: application/json\r\nRetry-After: 1\x00\r\n",
    "allow_with_delete": "Content-Type: application/json\r\nAllow: GET\x7f\r\n",
}


@pytest.mark.parametrize("lines", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("finish", [True, False])
def test_answer_with_a_header_that_cannot_be_sent_is_502_or_without_it(
    endpoint: Endpoint, lines: str, finish: bool
) -> None:
    """A predictor's mistake is never told to the client as its own: no 4xx for a good request."""
    heard = answered(endpoint, 200, lines, finish=finish)
    endpoint.forwarded = len(endpoint.stub.received)
    assert (heard.status, "x-predictor" in heard.headers) in [(200, True), (502, False)]


def test_answer_in_two_lines_makes_no_second_header(endpoint: Endpoint) -> None:
    """A folded value arrives in one line, or the answer not at all (RFC 9112, 5.2)."""
    heard = answered(endpoint, 200, "Content-Type: application/json\r\nRetry-After: 7\r\n X-Own: 1\r\n")
    endpoint.forwarded = len(endpoint.stub.received)
    assert heard.status in (200, 502)
    assert "x-own" not in heard.headers


def test_answer_without_a_type_is_not_called_html(endpoint: Endpoint) -> None:
    """What the predictor did not say, the router does not make up: least of all that it is a page."""
    endpoint.stub.script = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n<script>alert(1)</script>")
    raw = endpoint.receive(post(), finish=True)
    endpoint.forwarded = 1
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert b"text/html" not in raw


def test_answer_in_a_coding_keeps_its_name_or_is_refused(endpoint: Endpoint) -> None:
    """A compressed answer, though not asked for, never reaches the client as if it were plain."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    endpoint.stub.script = sends(head + b"Content-Length: 3\r\n\r\n\x1f\x8b\x08")
    raw = endpoint.receive(post(), finish=True).lower()
    endpoint.forwarded = 1
    assert b"content-encoding: gzip" in raw or raw.startswith(b"http/1.1 502 ")


def test_answer_comes_in_one_piece(endpoint: Endpoint) -> None:
    """Head and body leave together: two pieces would cost router and client twice the work."""
    with endpoint.connect() as client:
        client.sendall(post(b"Connection: close\r\n"))
        assert client.recv(65_536).endswith(endpoint.stub.own_answer)
    endpoint.forwarded += 1


def test_answer_with_another_one_behind_it_is_not_given_to_the_next_client(endpoint: Endpoint) -> None:
    """What a predictor sends unasked is nobody's answer."""
    own = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    first, unasked = own % (12, b'{"first": 1}'), own % (14, b'{"unasked": 1}')

    def script(_: StubPredictor, connection: socket.socket) -> None:
        connection.sendall(first + unasked)

    endpoint.stub.script = script
    assert [answer.json() for answer in endpoint.responses(post())] == [{"first": 1}]
    endpoint.stub.script = answers()
    assert [answer.json() for answer in endpoint.responses(post() + post())] == [{"predictor": "predict1"}] * 2


# The environment


def test_environment_of_the_router_names_no_proxy_and_no_password(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies, .netrc and what other servers read from the environment change neither requests nor health checks."""
    [trap] = stage.stubs(1)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://own:own@127.0.0.1:{trap.port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login own password own\ndefault login own password own\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--forwarded-allow-ips=* --keep-alive=0")
    monkeypatch.setenv("FLASK_DEBUG", "1")
    endpoint = open_router(stage)
    with endpoint.watched():
        wait_until(lambda: endpoint.router.predictors("state") == ["serving"])
        assert_only_needed(endpoint, received(endpoint, post(b"X-Forwarded-Proto: https\r\nSCRIPT_NAME: /predict\r\n")))
        [unknown] = endpoint.responses(b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n")
        assert unknown.json() == {"error": "unknown path"}
    assert trap.accepted == 0


def test_environment_with_a_script_name_does_not_move_the_paths(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that a CGI server would set means nothing to this one."""
    monkeypatch.setenv("SCRIPT_NAME", "/own")
    endpoint = open_router(stage)
    with endpoint.watched():
        assert endpoint.statuses(post()) == [200]


def test_answer_read_slowly_by_the_client_comes_whole(endpoint: Endpoint) -> None:
    """A large answer reaches a client that takes its time, and its slot is free meanwhile."""
    body = b'{"large": "' + b"x" * 8_000_000 + b'"}'
    endpoint.stub.script = answers(200, body)
    with endpoint.connect() as client:
        client.sendall(post(b"Connection: close\r\n"))
        wait_until(lambda: len(endpoint.stub.received) == 1)
        wait_until(lambda: endpoint.router.loads() == [0])
        assert until_end(client).endswith(body)
    endpoint.forwarded += 1
