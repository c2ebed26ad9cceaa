"""What a request's body may hold, and how large or slow it may be. Where it ends: test_http_framing.py."""

import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.harness.endpoint import Endpoint, open_predictor, open_router
from tests.harness.http_client import (
    CHUNKED,
    LAST_GET_HEALTH,
    LENGTH,
    POST,
    PROMPT_S,
    SMUGGLED,
    answers_in,
    chunked,
    post,
    until_end,
)
from tests.harness.project import SAMPLE
from tests.harness.stage import Stage

BODY_LIMIT_BYTES = 1024 * 1024
CHUNK_BYTES = 64 * 1024
CHUNK = b"%x\r\n%s\r\n" % (CHUNK_BYTES, b" " * CHUNK_BYTES)
BODY_WITHIN_S = 10.0
FAIR_WAIT_S = 0.5
"""As long as a router lets a health check wait: a predictor that one client can hold up longer is taken out."""

TRIES = 3  # of which the best counts: other programs share the machine


@pytest.fixture(scope="module")
def endpoints(shared_stage: Stage) -> dict[str, Endpoint]:
    """A router and a predictor that reads bodies strictly."""
    return {"router": open_router(shared_stage), "predictor": open_predictor(shared_stage)}


@pytest.fixture(scope="module")
def both(endpoints: dict[str, Endpoint], shared_stage: Stage) -> tuple[Endpoint, Endpoint]:
    """The predictor, and a router before it."""
    router = shared_stage.router(shared_stage.topology("single", [endpoints["predictor"].port]))
    return endpoints["predictor"], Endpoint("both", router.url, router)


BODIES = {
    "arrays_nested": b"[" * 100_000,
    "arrays_nested_and_closed": b"[" * 100_000 + b"]" * 100_000,
    "objects_nested": b'{"a":' * 100_000,
    "feature_nested": SAMPLE.replace(b"719.5", b"[" * 100_000),
    "nan": SAMPLE.replace(b"719.5", b"NaN"),
    "infinity": SAMPLE.replace(b"719.5", b"-Infinity"),
    "digits_5000": SAMPLE.replace(b"719.5", b"9" * 5_000),
    "digits_million": SAMPLE.replace(b"719.5", b"9" * 1_000_000),
    "exponent_huge": SAMPLE.replace(b"719.5", b"1e999"),
    "exponent_5000_digits": SAMPLE.replace(b"719.5", b"1e" + b"9" * 5_000),
    "hexadecimal": SAMPLE.replace(b"719.5", b"0x10"),
    "text": SAMPLE.replace(b"719.5", b'"719.5"'),
    "null": SAMPLE.replace(b"719.5", b"null"),
    "true": SAMPLE.replace(b"719.5", b"true"),
    "list": SAMPLE.replace(b"719.5", b"[719.5]"),
    "feature_twice": SAMPLE.replace(b"{", b'{"mean area": 1, ', 1),
    "records_million": b"[" + b"0," * 500_000 + b"0]",
    "records_too_many": b"[" + b",".join([SAMPLE] * 1_001) + b"]",
    "keys_many": b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b"}",
    "key_long": b'{"' + b"k" * 1_000_000 + b'": 1}',
    "utf_8_broken": SAMPLE.replace(b"mean area", b"mean \xff\xfe"),
    "utf_8_surrogate": SAMPLE.replace(b"mean area", b"\xed\xa0\x80"),
    "utf_16": SAMPLE.decode().encode("utf-16"),
    "byte_order_mark": b"\xef\xbb\xbf" + SAMPLE,
    "surrogate_escaped": b'{"\\ud800<script>": 1}',
    "nul": b"\x00" * 1_000,
    "gzip": gzip.compress(SAMPLE),
    "number": b"1",
    "empty": b"",
    "two_values": SAMPLE + SAMPLE,
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07os.exit\x94.",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_body_of_no_use_is_400_and_the_same_through_the_router(both: tuple[Endpoint, Endpoint], body: bytes) -> None:
    """Bad input is refused in a short text, the same through the router; it is nobody's failure, and ends nothing."""
    body = body[:BODY_LIMIT_BYTES]
    for sent in (post(b"", body), CHUNKED + chunked(body, 65_536)):
        [direct, then], [routed, last] = (endpoint.responses(sent + post()) for endpoint in both)
        assert (direct.status, then.status, last.status) == (400, 200, 200)
        assert len(direct.body) < 2_000
        assert (routed.status, routed.body) == (direct.status, direct.body)
    for endpoint in both:
        endpoint.assert_sound()
    assert both[1].router.predictors("failed") == [0]


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"x", b"gzip, identity", b"identity, gzip"])
def test_body_in_another_coding_is_415(both: tuple[Endpoint, Endpoint], coding: bytes) -> None:
    """A compressed body is refused unread, by the predictor: the router passes it on as it is, with its coding."""
    sent = post(b"Content-Encoding: " + coding + b"\r\n", gzip.compress(SAMPLE))
    assert [endpoint.statuses(sent) for endpoint in both] == [[415], [415]]


def test_body_at_the_limit_is_read_and_a_byte_more_is_413(endpoint: Endpoint) -> None:
    """1 MiB is the most, in chunks too, where nothing is announced."""
    limit = SAMPLE + b" " * (BODY_LIMIT_BYTES - len(SAMPLE))
    assert endpoint.statuses(CHUNKED + chunked(limit, 65_536)) == [200]
    assert endpoint.statuses(post(b"", limit)) == [200]
    assert all(request.body == limit for stub in endpoint.stubs for request in stub.received)
    assert endpoint.refusal(CHUNKED + chunked(limit + b" ", 65_536) + SMUGGLED).status == 413
    assert endpoint.refusal(post(b"", limit + b" ") + SMUGGLED).status == 413


def test_body_in_endless_chunks_is_413_long_before_its_end(endpoint: Endpoint) -> None:
    """A body without a declared length is refused once it is over the limit, though its end has not come."""
    assert endpoint.refusal(CHUNKED + CHUNK * (BODY_LIMIT_BYTES // CHUNK_BYTES + 1)).status == 413


def send_on_and_on(client: socket.socket) -> None:
    """Sends chunks without ever looking for an answer."""
    while True:
        client.sendall(CHUNK)


def test_body_sent_on_and_on_is_cut_off_and_its_413_can_still_be_read(endpoint: Endpoint) -> None:
    """Who does not look up from sending is not read for ever; the answer has come before the connection's end."""
    with endpoint.connect() as client:
        client.sendall(CHUNKED)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            send_on_and_on(client)
        assert [answer.status for answer in answers_in(until_end(client))] == [413]


def test_body_awaited_is_asked_for_and_then_read(endpoint: Endpoint) -> None:
    """`Expect: 100-continue` is answered before the body comes, and once."""
    head = POST + b"Expect: 100-continue\r\nConnection: close\r\n" + LENGTH + b"\r\n"
    with endpoint.connect() as client:
        client.sendall(head)
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(SAMPLE)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
    endpoint.forwarded += 1


@pytest.mark.parametrize("expected", [b"teapot", b"100-continue, teapot", b"\x80"])
def test_expectation_unknown_is_417(endpoint: Endpoint, expected: bytes) -> None:
    """What cannot be promised is refused."""
    assert endpoint.refusal(POST + b"Expect: " + expected + b"\r\n" + LENGTH + b"\r\n" + SAMPLE).status == 417


def costly(kind: str) -> bytes:
    """A body of 1 MiB at most in as many chunks as may be."""
    tiny = b" " * BODY_LIMIT_BYTES
    match kind:
        case "chunks of a byte":
            return chunked(tiny, 1)
        case "chunks with long extensions":
            return b"".join(b"1;a=" + b"x" * 8_000 + b"\r\n \r\n" for _ in range(4_000)) + b"0\r\n\r\n"
        case _:
            return chunked(tiny, 32)


def worst_wait_s(endpoint: Endpoint, body: bytes) -> float:
    """Sends the body in crumbs, and asks for health all the while; the longest wait for that."""
    with ThreadPoolExecutor(1) as pool:
        crumbs = pool.submit(send_crumbs, endpoint, body)
        waits_s = []
        while not crumbs.done():
            start_s = time.monotonic()
            assert b" 200 " in endpoint.receive(LAST_GET_HEALTH, finish=False)
            waits_s.append(time.monotonic() - start_s)
            time.sleep(0.01)
    endpoint.forwarded += b"X-Predictor" in crumbs.result()
    return max(waits_s)


def send_crumbs(endpoint: Endpoint, body: bytes) -> bytes:
    """Sends the body in chunks; returns the answer."""
    with endpoint.connect() as client:
        client.settimeout(BODY_WITHIN_S + PROMPT_S)
        with suppress(ConnectionError):  # given up, it may be cut off before all is sent, but not before its answer
            client.sendall(CHUNKED + body)
            client.shutdown(socket.SHUT_WR)
        return until_end(client, BODY_WITHIN_S + PROMPT_S)


@pytest.mark.parametrize("kind", ["chunks of a byte", "chunks with long extensions", "chunks of 32 bytes"])
def test_body_that_is_costly_to_read_does_not_hold_up_others(endpoint: Endpoint, kind: str) -> None:
    """Who sends its body in crumbs waits for itself, answered in the end or given up; others are served meanwhile."""
    body = costly(kind)
    assert any(worst_wait_s(endpoint, body) < FAIR_WAIT_S for _ in range(TRIES))


def test_body_of_a_thousand_records_is_served(both: tuple[Endpoint, Endpoint]) -> None:
    """A large list within the limits is answered whole, through the router too."""
    compact = json.dumps({name: round(value, 1) for name, value in json.loads(SAMPLE).items()}, separators=(",", ":"))
    body = b"[" + b",".join([compact.encode()] * 1_000) + b"]"
    [direct], [routed] = (endpoint.responses(post(b"", body)) for endpoint in both)
    assert (direct.status, routed.status, len(direct.json())) == (200, 200, 1_000)
    assert direct.body == routed.body
