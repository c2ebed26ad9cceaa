"""What a request may hold in its line and its headers. Its body: test_http_bodies.py, its end: test_http_framing.py."""

import pytest

from tests.harness.endpoint import Endpoint
from tests.harness.http_client import HOST, JSON_TYPE, LAST_GET_HEALTH, LENGTH, POST, SMUGGLED, post
from tests.harness.project import SAMPLE

LINES = {
    "http_0_9": b"GET /predict\r\n",
    "http_2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
    "http_2": b"POST /predict HTTP/2\r\n",
    "http_2_0": b"POST /predict HTTP/2.0\r\n",
    "http_9_9": b"POST /predict HTTP/9.9\r\n",
    "http_0_1": b"POST /predict HTTP/0.1\r\n",
    "http_1_10": b"POST /predict HTTP/1.10\r\n",
    "http_1": b"POST /predict HTTP/1\r\n",
    "http_small": b"POST /predict http/1.1\r\n",
    "other_protocol": b"POST /predict ICY/1.1\r\n",
    "blank_after": b"POST /predict HTTP/1.1 \r\n",
    "blank_before": b" POST /predict HTTP/1.1\r\n",
    "blanks_between": b"POST  /predict  HTTP/1.1\r\n",
    "tabs_between": b"POST\t/predict\tHTTP/1.1\r\n",
    "target_with_blank": b"POST /predict x HTTP/1.1\r\n",
    "target_missing": b"POST HTTP/1.1\r\n",
    "target_empty": b"POST  HTTP/1.1\r\n",
    "target_with_nul": b"POST /predict\x00 HTTP/1.1\r\n",
    "target_with_cr": b"POST /pre\rdict HTTP/1.1\r\n",
    "target_not_ascii": b"POST /predict\xe9 HTTP/1.1\r\n",
    "target_star": b"POST * HTTP/1.1\r\n",
    "target_authority": b"POST localhost:80 HTTP/1.1\r\n",
    "target_relative": b"POST predict HTTP/1.1\r\n",
    "target_bad_address": b"POST http://[::1/predict HTTP/1.1\r\n",
    "method_small": b"post /predict HTTP/1.1\r\n",
    "method_mixed": b"Post /predict HTTP/1.1\r\n",
    "method_no_token": b"PO(ST /predict HTTP/1.1\r\n",
    "method_with_nul": b"POST\x00 /predict HTTP/1.1\r\n",
    "method_long": b"P" * 30 + b" /predict HTTP/1.1\r\n",
    "method_empty": b" /predict HTTP/1.1\r\n",
    "ended_by_lf": b"POST /predict HTTP/1.1\n",
    "empty_lines": b"\r\n\r\n\r\nPOST /predict HTTP/1.1\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "proxy": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_line_out_of_form_is_400(endpoint: Endpoint, line: bytes) -> None:
    """What is no request line of HTTP/1.0 or 1.1 is refused, and what follows it is not read."""
    assert endpoint.refusal(line + HOST + JSON_TYPE + LENGTH + b"\r\n" + SAMPLE + SMUGGLED).status in (400, 501, 505)


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.2", b"1.9"])
def test_version_of_the_answer_is_one_that_is_spoken_here(endpoint: Endpoint, version: bytes) -> None:
    """A later HTTP/1 is served as 1.1 or refused, and never answered under its own name (RFC 9110, 2.5)."""
    sent = post(b"Connection: close\r\n").replace(b"HTTP/1.1", b"HTTP/" + version)
    raw = endpoint.receive(sent, finish=False)
    endpoint.forwarded = raw.count(b"X-Predictor")
    assert raw.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ") if version == b"1.0" else b"HTTP/1.1 ")


@pytest.mark.parametrize("target", [b"/", b"/predict?"], ids=["path", "query"])
def test_line_of_100_kb_is_414(endpoint: Endpoint, target: bytes) -> None:
    """An endless target is refused without being read to its end."""
    assert endpoint.refusal(b"GET " + target + b"x" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n").status == 414


UNKNOWN_TARGETS = b"""
    /predict/..%2f /predict/../predict /./predict /predict/ /predict// /predict;x /predict%00 /predict%0d%0a /predict%20
    /predict%ff /predict%2f /%2fpredict/x / /health/ /Predict /topology /predictors/predict1/drain /static/x /static//x
    /% /%zz /// http://localhost http://localhost/ http://localhost// x://y/z
""".split()


@pytest.mark.parametrize("target", UNKNOWN_TARGETS)
@pytest.mark.parametrize("method", [b"GET", b"POST", b"OPTIONS"])
def test_target_unknown_is_404_in_json(endpoint: Endpoint, method: bytes, target: bytes) -> None:
    """Two paths are served, as they are spelled: no redirect, no page, no list of methods for others."""
    [heard] = endpoint.responses(method + b" " + target + b" HTTP/1.1\r\n" + HOST + LENGTH + b"\r\n" + SAMPLE)
    assert heard.status == 404
    assert heard.json() == {"error": "unknown path"}


@pytest.mark.parametrize("target", [b"//predict", b"/%70redict", b"http://x.example/predict", b"/predict?a=%00"])
def test_target_written_otherwise_is_one_clean_request_or_none(endpoint: Endpoint, target: bytes) -> None:
    """Another spelling of a known path may be served here, or refused; nobody is sent elsewhere."""
    [heard] = endpoint.responses(post().replace(b"/predict", target, 1))
    assert heard.status in (200, 400, 404)
    assert "location" not in heard.headers


@pytest.mark.parametrize("target", [b"localhost:80", b"127.0.0.1:1", b"elsewhere.example:443", b"a:predict", b"/x"])
def test_connect_opens_no_tunnel(endpoint: Endpoint, target: bytes) -> None:
    """CONNECT is refused, and its connection ends: what follows might be meant for the tunnel."""
    heard = endpoint.refusal(b"CONNECT " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED)
    assert heard.status in (400, 404, 405)


ALLOWED = {
    ("router", "/predict"): {"GET", "POST"},
    ("predictor", "/predict"): {"GET", "POST"},
    ("router", "/health"): {"GET", "HEAD"},
    ("predictor", "/health"): {"GET", "HEAD"},
}
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "FOO", "P!ST"]
ORDERS = [(m, path) for path in ("/predict", "/health") for m in METHODS if (m, path) != ("POST", "/predict")]


@pytest.mark.parametrize(("method", "path"), ORDERS)
def test_method_unknown_is_405_and_names_the_known(endpoint: Endpoint, method: str, path: str) -> None:
    """A method that is not served is refused in JSON, with the ones that are; its request takes no slot."""
    allowed = ALLOWED[endpoint.name, path]
    framed = b"\r\n" if method == "GET" else LENGTH + b"\r\n" + SAMPLE
    sent = f"{method} {path} HTTP/1.1\r\n".encode() + HOST + framed + LAST_GET_HEALTH
    heard, _ = endpoint.responses(sent, head_asked=method == "HEAD")
    assert heard.status == (200 if method in allowed else 405)
    assert heard.status == 200 or set(heard.headers["allow"].split(", ")) == allowed


HEADERS = {
    "host_missing": b"",
    "host_twice": HOST + b"Host: other\r\n",
    "host_twice_equal": HOST + HOST,
    "type_twice": HOST + JSON_TYPE,
    "space_before_colon": HOST + b"X-Own : a\r\n",
    "name_empty": HOST + b": a\r\n",
    "name_with_space": HOST + b"X Own: a\r\n",
    "name_with_nul": HOST + b"X\x00Own: a\r\n",
    "name_no_token": HOST + b"X(Own): a\r\n",
    "name_not_ascii": HOST + b"X-\xdcber: a\r\n",
    "no_colon": HOST + b"no colon at all\r\n",
    "nul": HOST + b"X-Own: a\x00b\r\n",
    "cr": HOST + b"X-Own: a\rb\r\n",
    "cr_cr_lf": HOST + b"X-Own: a\r\r\n",
    "lf": HOST + b"X-Own: a\nX-Other: b\r\n",
    "lf_cr": HOST + b"X-Own: a\n\rX-Other: b\r\n",
    "delete": HOST + b"X-Own: a\x7fb\r\n",
    "escape": HOST + b"X-Own: a\x1b[2Jb\r\n",
    "folded": HOST + b"X-Own: a\r\n b\r\n",
    "folded_by_tab": HOST + b"X-Own: a\r\n\tb\r\n",
    "folded_at_once": b" folded: a\r\n" + HOST,
    "all_ended_by_lf": b"Host: localhost\nX-Own: a\n\n",
}


@pytest.mark.parametrize("lines", HEADERS.values(), ids=HEADERS.keys())
def test_headers_out_of_form_are_400(endpoint: Endpoint, lines: bytes) -> None:
    """A header that others may read otherwise makes the request one that nobody serves."""
    line, rest = b"POST /predict HTTP/1.1\r\n", JSON_TYPE + LENGTH + b"\r\n" + SAMPLE + SMUGGLED
    assert endpoint.refusal(line + lines + rest).status == 400


@pytest.mark.parametrize(
    "lines",
    [
        b"X-Long: " + b"x" * 200_000 + b"\r\n",
        b"X-" + b"x" * 200_000 + b": 1\r\n",
        b"X-Many: 1\r\n" * 5_000,
        b"".join(b"X-%d: 1\r\n" % number for number in range(5_000)),
        b"X-Endless: " + b"x" * 2_000_000,
    ],
    ids=["value_200_kb", "name_200_kb", "equal_5000", "different_5000", "endless"],
)
def test_headers_too_large_are_431(endpoint: Endpoint, lines: bytes) -> None:
    """Too many or too long headers are refused before they fill the memory."""
    assert endpoint.refusal(POST + lines + LENGTH + b"\r\n" + SAMPLE).status == 431


def test_host_missing_in_http_1_0_is_served(endpoint: Endpoint) -> None:
    """HTTP/1.0 needs no Host."""
    old = post().replace(b"HTTP/1.1", b"HTTP/1.0").replace(HOST, b"")
    assert endpoint.statuses(old) == [200]


@pytest.mark.parametrize("host", [b"", b"a b", b"\xff", b"a..b", b"[::1", b"u@h/p?q", b"a:xyz", b"x" * 300])
def test_host_that_is_none_is_one_clean_request_or_none(endpoint: Endpoint, host: bytes) -> None:
    """Nothing here depends on Host, so a nonsensical one may be served or refused, but breaks nothing."""
    [heard] = endpoint.responses(post().replace(b"localhost", host, 1))
    assert heard.status in (200, 400)


@pytest.mark.parametrize(
    "lines",
    [
        b"SCRIPT_NAME: /predict\r\nSCRIPT-NAME: /predict\r\nPATH_INFO: /nowhere\r\nREQUEST_METHOD: PUT\r\n",
        b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: x\r\nX-Forwarded-Prefix: /x\r\n",
        b"X-Forwarded-Protocol: ssl\r\nX-Forwarded-Ssl: on\r\nX-Forwarded-Proto: http\r\n",
        b"Forwarded: for=192.0.2.1;host=x;proto=https\r\nX-Original-URL: /nowhere\r\nX-Rewrite-URL: /nowhere\r\n",
        b"X-HTTP-Method-Override: PUT\r\nX-Method-Override: DELETE\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        b"Connection: Content-Length, Content-Type, Host\r\n",
        b"TE: trailers\r\nTrailer: X-Own\r\nKeep-Alive: timeout=99999\r\nProxy-Connection: keep-alive\r\n",
        b"Range: bytes=0-0\r\nIf-None-Match: *\r\nIf-Match: x\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n",
        b"Cookie: \xff;=;a=\x80; $Version\r\nAuthorization: Basic \xff\r\nAccept-Language: \xe9\r\n",
    ],
    ids=["cgi", "forwarded", "scheme", "rewrite", "override", "h2c", "connection", "hop_by_hop", "partial", "latin"],
)
def test_header_that_means_nothing_here_changes_nothing(endpoint: Endpoint, lines: bytes) -> None:
    """What a proxy or another protocol may mean by a header, no client may say here: it is ignored."""
    [heard] = endpoint.responses(post(lines))
    assert heard.status == 200
    assert "upgrade" not in heard.headers


def test_upgrade_to_websocket_is_400_or_ignored(endpoint: Endpoint) -> None:
    """There is no other protocol to go over to."""
    [heard] = endpoint.responses(post(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"))
    assert heard.status in (200, 400)
