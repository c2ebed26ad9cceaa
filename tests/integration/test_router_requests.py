"""What clients may send the router, in good faith and not, and what they hear."""

import http.client
import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from predictors.model import train
from tests.harness.processes import JSON_TYPE, SAMPLE, Answer, Exchange, Router, Stage, ask, wait_until
from tests.harness.stubs import StubPredictor, answers, resets, sends

BODY_LIMIT_BYTES = 1024 * 1024
BODY_TIMEOUT_S = 10.0
ANSWER_DEADLINE_S = 25.0
POST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\nsmuggle"


class Front(NamedTuple):
    """A router before one stub predictor."""

    router: Router
    stub: StubPredictor

    @property
    def address(self) -> tuple[str, int]:
        """Where the public port is."""
        return "127.0.0.1", int(self.router.url.rpartition(":")[2])

    def raw(self, sent: bytes) -> tuple[int, bytes, bytes]:
        """Send bytes as they are; returns the first answer's status, its JSON body, and whatever follows it."""
        with socket.create_connection(self.address, timeout=ANSWER_DEADLINE_S) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            return one_answer(until_end(client))


def until_end(client: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def one_answer(received: bytes) -> tuple[int, bytes, bytes]:
    """Split off the first answer, which must be JSON and neither HTML nor a traceback."""
    head, _, rest = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert headers["content-type"] == "application/json"
    length = int(headers["content-length"])
    body = rest[:length]
    json.loads(body)
    assert b"<" not in body
    assert b"Traceback" not in body
    return int(lines[0].split()[1]), body, rest[length:]


def assert_error(answer: Answer, status: int, reason: str | None = None) -> None:
    """Check for an error in JSON: its status, its text, and its reason where the router gives one."""
    assert answer.status == status
    said = answer.json()
    assert said.keys() == ({"error", "reason"} if reason else {"error"})
    assert said["error"]
    assert "<" not in said["error"]
    assert said.get("reason") == reason


@pytest.fixture(scope="module")
def shared_front(shared_stage: Stage) -> Front:
    """One router before a stub, for all tests of the module."""
    [stub] = shared_stage.stubs(1)
    return Front(shared_stage.router(shared_stage.topology("single", [stub.port])), stub)


@pytest.fixture
def front(shared_front: Front) -> Iterator[Front]:
    """The shared router, which must serve after each test as before."""
    shared_front.stub.received.clear()
    yield shared_front
    shared_front.stub.script = answers()
    assert ask(shared_front.router.url, body=SAMPLE).json() == {"predictor": "predict1"}
    wait_until(lambda: shared_front.router.loads() == [0])


@pytest.fixture(scope="module")
def router(shared_stage: Stage) -> Router:
    """A router before a real predictor that adds no service time."""
    ports = [shared_stage.reserve_port()]
    shared_stage.predictors(ports, 0.0)
    return shared_stage.router(shared_stage.topology("single", ports))


def test_predict_get_answers_the_sample_and_who_made_it(router: Router) -> None:
    """GET sends the built-in sample: its answer is the one to a POST of that sample."""
    got, posted = ask(router.url), ask(router.url, body=SAMPLE)
    assert (got.status, posted.status) == (200, 200)
    assert got.json() == posted.json()
    assert got.predictor == posted.predictor == got.json()["predictor"] == "predict1"
    assert got.json()["prediction"] in ("malignant", "benign")


def test_predict_post_gives_scikit_learns_own_probabilities(router: Router) -> None:
    """A list of records gives a list, and each probability is the model's own on the same rows."""
    model, rows = train(), load_breast_cancer().data[:40]
    records = [dict(zip(model.features, row.tolist(), strict=True)) for row in rows]
    made = ask(router.url, body=json.dumps(records).encode()).json()
    expected = model.pipeline.predict_proba(rows)
    table = np.array([[one["probabilities"][name] for name in model.classes] for one in made])
    assert table == pytest.approx(expected, rel=1e-12)
    assert [one["prediction"] for one in made] == model.pipeline.predict(rows).tolist()
    assert [one["probability"] for one in made] == pytest.approx(expected.max(axis=1).tolist(), rel=1e-12)


def test_predict_list_of_one_gives_a_list(router: Router) -> None:
    """A list gives a list, an object an object."""
    one = ask(router.url, body=SAMPLE).json()
    assert ask(router.url, body=b"[" + SAMPLE + b"]").json() == [one]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "field"),
    [
        (b"not JSON", "application/json", 400, None),
        (b"", "application/json", 400, None),
        (b"[" * 100_000, "application/json", 400, None),
        (SAMPLE.replace(b"719.5", b"NaN"), "application/json", 400, "mean area"),
        (SAMPLE.replace(b"719.5", b'"719.5"'), "application/json", 400, "mean area"),
        (SAMPLE, "text/plain", 415, None),
    ],
    ids=["not_json", "empty", "deep", "nan", "text", "type"],
)
def test_predict_refusal_of_the_predictor_is_passed_on(
    router: Router, body: bytes, content_type: str, status: int, field: str | None
) -> None:
    """The predictor's 4xx reach the client unchanged, say who gave them, and count against nobody."""
    answer = ask(router.url, body=body, Content_Type=content_type)
    assert (answer.status, answer.predictor) == (status, "predict1")
    assert answer.json()["error"]
    assert answer.json().get("field") == field
    assert router.predictors("failed") == [0]


def test_predict_body_reaches_the_predictor_unchanged(front: Front) -> None:
    """The client's bytes are sent on as they came, with their type, and of the other headers none."""
    body = bytes(range(256)) * 100
    sent = {
        "Content-Type": "application/x-own; v=1",
        "Authorization": "Basic x",
        "Cookie": "a=b",
        "X-Own": "1",
    }
    assert Exchange(front.router.url, "/predict?q=1", body, sent).answer().status == 200
    [received] = front.stub.received
    assert (received.method, received.path, received.body) == ("POST", "/predict", body)
    assert received.headers["content-type"] == "application/x-own; v=1"
    assert not received.headers.keys() & {"authorization", "cookie", "x-own", "x-forwarded-for"}


def test_predict_chunked_body_reaches_the_predictor_whole(front: Front) -> None:
    """A body in chunks is put together before it is sent on."""
    status, _, rest = front.raw(CHUNKED + b"3\r\n{} \r\n4;ext=1\r\n   {\r\n0\r\nX-Trailer: 1\r\n\r\n")
    assert (status, rest) == (200, b"")
    assert [request.body for request in front.stub.received] == [b"{}    {"]


@pytest.mark.parametrize("path", ["/", "/predict/", "/Predict", "/predict/..%2f", "/topology", "/static/x", "/health/"])
@pytest.mark.parametrize("body", [None, b"{}"])
def test_other_path_is_404(front: Front, path: str, body: bytes | None) -> None:
    """Two paths are served; all others are unknown, without a redirect."""
    assert_error(ask(front.router.url, path, body), 404)
    assert front.stub.received == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "/predict") for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE")),
        *((method, "/health") for method in ("POST", "DELETE", "OPTIONS")),
    ],
)
def test_other_method_is_405_and_says_which_are_allowed(front: Front, method: str, path: str) -> None:
    """A method that is not served is refused with the ones that are."""
    connection = http.client.HTTPConnection(*front.address, timeout=ANSWER_DEADLINE_S)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 405
    allowed = {"/predict": {"GET", "POST"}, "/health": {"GET", "HEAD"}}[path]
    assert set(response.headers["Allow"].split(", ")) == allowed
    assert method == "HEAD" or json.loads(body)["error"]
    assert front.stub.received == []


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"Content-Length: -2\r\n\r\n{}",
        POST + b"Content-Length: +2\r\n\r\n{}",
        POST + b"Content-Length: 0x2\r\n\r\n{}",
        POST + b"Content-Length:\r\n\r\n{}",
        POST + b"Transfer-Encoding: gzip\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"2\r\n{}XX0\r\n\r\n",
        CHUNKED + b"2\r\n{}\r\n",
        CHUNKED + b"5\r\n{}",
        POST + b"Host: other\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"X-Nul: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"Content-Length : 2\r\n\r\n{}",
        POST + b" folded: x\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"X-Long: a\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"no colon at all\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /predict\x00 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /predict HTTP/9.9\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
        b"POST  /predict  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /predict\r\n\r\n",
    ],
    ids=range(26),
)
def test_request_with_bad_framing_is_refused_and_nothing_is_smuggled(front: Front, sent: bytes) -> None:
    """A request whose limits are in doubt is refused, and what follows it never reaches a predictor."""
    status, body, rest = front.raw(sent + SMUGGLED)
    assert status in (400, 501, 505)
    assert json.loads(body).keys() == {"error"}
    assert rest == b""
    assert front.stub.received == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /predict HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n", 431),
        (b"GET /predict HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: 1\r\n" * 5_000 + b"\r\n", 431),
        (b"GET /predict?" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (POST + b"Expect: teapot\r\nContent-Length: 2\r\n\r\n{}", 417),
    ],
    ids=["long_header", "many_headers", "long_line", "expect"],
)
def test_request_beyond_the_parsers_limits_is_refused_by_kind(front: Front, sent: bytes, status: int) -> None:
    """Oversize headers and unknown expectations hear what was too much, in JSON."""
    assert front.raw(sent)[0] == status
    assert front.stub.received == []


def test_request_at_the_body_limit_is_served_and_one_byte_more_is_413(front: Front) -> None:
    """1 MiB is the most that a body may have, declared or in chunks."""
    at_limit = b" " * BODY_LIMIT_BYTES
    assert ask(front.router.url, body=at_limit).status == 200
    assert front.raw(CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(at_limit), at_limit))[0] == 200
    assert [len(request.body) for request in front.stub.received] == [BODY_LIMIT_BYTES] * 2
    assert_error(ask(front.router.url, body=at_limit + b" "), 413)
    assert front.raw(CHUNKED + b"%x\r\n%s \r\n0\r\n\r\n" % (len(at_limit) + 1, at_limit))[0] == 413
    assert len(front.stub.received) == 2


def test_request_that_declares_too_much_is_413_before_it_is_sent(front: Front) -> None:
    """The declared length alone is enough to refuse; the connection ends."""
    assert front.raw(POST + b"Content-Length: 99999999999\r\n\r\n")[::2] == (413, b"")


def test_request_in_endless_chunks_is_413_long_before_its_end(front: Front) -> None:
    """A body without a declared length is refused once it is over the limit, without being read for ever."""
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with socket.create_connection(front.address, timeout=ANSWER_DEADLINE_S) as client:
        client.sendall(CHUNKED)
        sent = 0
        while not select.select([client], [], [], 0)[0]:
            assert sent < 8 * BODY_LIMIT_BYTES
            client.sendall(chunk)
            sent += 65_536
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert front.stub.received == []


def drips(front: Front, stack: ExitStack, head: bytes, number: int) -> list[socket.socket]:
    """Open connections that have sent only this much of a request."""
    clients = []
    for _ in range(number):
        client = stack.enter_context(socket.create_connection(front.address, timeout=ANSWER_DEADLINE_S))
        client.sendall(head)
        clients.append(client)
    return clients


def test_request_whose_body_drips_is_408_and_takes_no_slot_meanwhile(front: Front) -> None:
    """A body that is not complete in 10 s is given up; until then its client costs others nothing."""
    with ExitStack() as stack:
        declared = drips(front, stack, POST + b"Content-Length: 1000\r\n\r\n{", 6)
        chunked = drips(front, stack, CHUNKED + b"3e8\r\n{", 6)
        start_s = next_s = time.monotonic()
        while not select.select(declared + chunked, [], [], 0.1)[0]:
            assert front.router.loads() == [0]
            assert ask(front.router.url).status == 200
            assert time.monotonic() - start_s < BODY_TIMEOUT_S + 5
            if time.monotonic() > next_s:
                next_s += 1.0
                for client in declared + chunked:
                    client.sendall(b" ")
        assert time.monotonic() - start_s >= BODY_TIMEOUT_S - 0.5
        for client in declared + chunked:
            status, body, rest = one_answer(until_end(client))
            assert (status, rest) == (408, b"")
            assert "10 s" in json.loads(body)["error"]
        assert time.monotonic() - start_s < BODY_TIMEOUT_S + 5
    assert all(request.body == SAMPLE for request in front.stub.received)


def test_health_says_whether_a_request_would_be_taken(stage: Stage) -> None:
    """The router's own health is 200 while some predictor has room, else 503; it asks no predictor for it."""
    [stub] = stage.stubs(1)
    router = stage.router(stage.topology("single", [stub.port]), "--threshold", "1")
    assert ask(router.url, "/health").json() == {"status": "ok"}
    stub.holding = True
    stage.hold(router, 1)
    wait_until(lambda: stub.held == 1)
    assert ask(router.url, "/health").status == 503
    stub.let_go()
    wait_until(lambda: ask(router.url, "/health").status == 200)
    stub.go_down()
    wait_until(lambda: ask(router.url, "/health").status == 503)
    stub.go_up()
    wait_until(lambda: ask(router.url, "/health").status == 200)


def test_predict_without_an_answer_in_time_is_504(stage: Stage) -> None:
    """The deadline is the longest that a client waits."""
    [stub] = stage.stubs(1)
    router = stage.router(stage.topology("single", [stub.port]), "--deadline", "1")
    stub.holding = True
    answer = ask(router.url)
    assert_error(answer, 504, "timeout")
    assert 1.0 <= answer.took_s < 2.0
    assert answer.predictor == ""
    assert router.picture()["refused"]["timeout"] == 1


@pytest.mark.parametrize(
    "script",
    [
        resets,
        sends(b""),
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + b'{"half": "of it"'),
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"),
        sends(b"HTTP/1.1 200 OK\r\n\r\n" + b'{"half": "of it"'),
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"),
        sends(b"SSH-2.0-OpenSSH\r\n"),
    ],
    ids=["reset", "closed", "cut_short", "cut_chunk", "cut_unframed", "two_lengths", "not_http"],
)
def test_predict_without_a_usable_answer_is_502(front: Front, script: object) -> None:
    """Nothing that a broken predictor sends comes through as an answer: never a 200 with half a body."""
    before = front.router.picture()["refused"]["bad_answer"]
    front.stub.script = script  # type: ignore[assignment]
    assert_error(ask(front.router.url), 502, "bad_answer")
    assert front.router.picture()["refused"]["bad_answer"] == before + 1


def test_predict_redirect_of_a_predictor_is_not_followed(front: Front) -> None:
    """A redirect is an answer like any other; nobody goes where it points."""
    elsewhere = b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\n{}"
    front.stub.script = sends(elsewhere)
    answer = ask(front.router.url)
    assert (answer.status, answer.predictor) == (307, "predict1")
    assert "location" not in answer.headers
    assert len(front.stub.received) == 1


def test_connection_is_kept_for_the_next_request(front: Front) -> None:
    """Requests in a row need one connection, also after errors of the client's making."""
    connection = http.client.HTTPConnection(*front.address, timeout=ANSWER_DEADLINE_S)
    connection.connect()
    own = connection.sock.getsockname()
    heard = []
    for method, path, body in [
        ("POST", "/predict", SAMPLE),
        ("POST", "/nowhere", b"{}"),
        ("GET", "/predict", None),
    ]:
        connection.request(method, path, body, JSON_TYPE)
        response = connection.getresponse()
        response.read()
        heard.append(response.status)
        assert connection.sock.getsockname() == own
    connection.close()
    assert heard == [200, 404, 200]
