"""The admin port: it answers this machine's own pages and commands, and nobody else."""

from collections.abc import Iterator

import psutil
import pytest

from tests.harness.endpoint import Endpoint
from tests.harness.http_client import PROMPT_S, SMUGGLED, Answer
from tests.harness.processes import Router
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

DRAIN = "/predictors/predict1/drain"
READY = "/predictors/predict1/ready"


@pytest.fixture(scope="module")
def opened(shared_stage: Stage) -> Endpoint:
    """The admin port of one router before a stub, for all tests of the module."""
    deployed = shared_stage.deploy("single", "--host", "0.0.0.0", number=1)
    return Endpoint("admin", deployed.router.admin_url, deployed.router, deployed.stubs)


@pytest.fixture
def admin(opened: Endpoint) -> Iterator[Endpoint]:
    """The admin port, after whose refusals the predictor must serve as before."""
    yield opened
    assert opened.process.errors() == ""
    found = state(opened)
    if found != "serving":  # one order that went through shall fail one test, not all that follow
        fetch(opened, "POST", READY)
    assert found == "serving"
    assert opened.stub.received == []


def fetch(
    admin: Endpoint,
    method: str,
    path: str,
    lines: str = "",
    content_type: str = "application/json",
    host: str | None = None,
    body: str = "",
) -> Answer:
    """Sends one request with this Host (None: its own), and returns the answer."""
    named = f"127.0.0.1:{admin.port}" if host is None else host
    head = f"{method} {path} HTTP/1.1\r\nHost: {named}\r\nConnection: close\r\n{lines}"
    head += f"Content-Type: {content_type}\r\n" if content_type else ""
    sent = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode("latin-1")
    [heard] = admin.responses(sent, finish=False, head_asked=method == "HEAD")
    return heard


def state(admin: Endpoint) -> str:
    """The predictor's state as the admin port shows it."""
    found: str = fetch(admin, "GET", "/topology").json()["predictors"]["predict1"]["state"]
    return found


FOREIGN_HOSTS = [
    *("elsewhere.example", "elsewhere.example:8001", "127.0.0.1.elsewhere.example", "localhost.elsewhere.example"),
    *("xlocalhost", "localhost.localdomain", "127.0.0.2", "0.0.0.0", "[::]", "[::2]", "192.0.2.2", "2130706433"),
    *("0x7f.0.0.1", "127.1", "", ":8001", "::1", "[::1", "[::1].elsewhere.example", "[::ffff:127.0.0.1]"),
    *("localhost:8001@elsewhere.example", "elsewhere.example/localhost", "localhost/elsewhere.example:80"),
    *("localhost:80, elsewhere.example", "elsewhere.example, localhost", "localhost:1:2", "localhost:x", "\xff"),
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/topology"), ("POST", DRAIN)])
def test_host_that_is_foreign_is_refused(admin: Endpoint, method: str, path: str, host: str) -> None:
    """A page whose own name was pointed at 127.0.0.1 gets nothing: the Host that it must send is not ours."""
    heard = fetch(admin, method, path, host=host)
    assert heard.status in (400, 403)
    assert heard.json().keys() == {"error"}


def test_host_is_not_taken_from_what_a_proxy_may_say(admin: Endpoint) -> None:
    """Headers about another Host make neither a foreign one ours nor ours foreign."""
    lines = "X-Forwarded-Host: {0}\r\nX-Host: {0}\r\nForwarded: host={0}\r\nX-Forwarded-Server: {0}\r\n"
    assert fetch(admin, "GET", "/topology", lines.format("localhost"), host="elsewhere.example").status == 403
    assert fetch(admin, "GET", "/topology", lines.format("elsewhere.example")).status == 200


def test_host_in_the_target_is_held_to_the_same_rule(admin: Endpoint) -> None:
    """A target with a name of its own goes before Host (RFC 9112, 3.2.2), so it must be ours too."""
    assert fetch(admin, "GET", "http://elsewhere.example/topology").status in (400, 403)


@pytest.mark.parametrize("lines", [b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host : localhost\r\n"])
def test_host_missing_or_in_doubt_is_refused(admin: Endpoint, lines: bytes) -> None:
    """A request that does not say whom it means is not for us."""
    assert admin.refusal(b"GET /topology HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n").status in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "[::1]"])
@pytest.mark.parametrize("port", [True, False])
def test_host_of_our_own_is_answered(admin: Endpoint, host: str, port: bool) -> None:
    """The loopback names are ours, in any case of letters (RFC 9110, 4.2.3), with the port or without."""
    assert fetch(admin, "GET", "/topology", host=f"{host}:{admin.port}" if port else host).status == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_origin_of_our_own_is_answered(admin: Endpoint, host: str) -> None:
    """A page of the port's own reads, by whichever of the loopback names it was opened."""
    own = f"{host}:{admin.port}"
    assert fetch(admin, "GET", "/topology", f"Origin: http://{own}\r\n", host=own).status == 200


FOREIGN_ORIGINS = [
    *("http://elsewhere.example", "https://elsewhere.example", "null", "", "file://", "http://localhost:1"),
    *("https://127.0.0.1:{port}", "http://localhost:{port}", "http://127.0.0.1", "http://127.0.0.1:{port}/"),
    *("http://127.0.0.1:{port}.elsewhere.example", "http://elsewhere.example, http://127.0.0.1:{port}"),
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/topology"), ("POST", DRAIN), ("OPTIONS", DRAIN)])
def test_origin_that_is_foreign_is_403(admin: Endpoint, method: str, path: str, origin: str) -> None:
    """A page of another origin, another port of this machine included, gets no data and gives no orders."""
    heard = fetch(admin, method, path, f"Origin: {origin.format(port=admin.port)}\r\n")
    assert heard.status == 403
    assert not [name for name in heard.headers if name.startswith("access-control-")]


def test_origin_of_our_own_gives_orders(admin: Endpoint) -> None:
    """The port's own page drains and makes ready."""
    own = f"Origin: http://127.0.0.1:{admin.port}\r\n"
    assert fetch(admin, "POST", DRAIN, own).json()["predict1"]["state"] in ("draining", "drained")
    assert fetch(admin, "POST", READY, own).json()["predict1"]["state"] == "serving"


SIMPLE_TYPES = [
    *("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "*/*"),
    *("text/plain; application/json", "text/json", "application/jsonp", "application", "application/json, text/plain"),
]


@pytest.mark.parametrize("content_type", SIMPLE_TYPES)
@pytest.mark.parametrize("body", ["", '{"a": 1}'])
def test_order_of_another_type_than_json_is_415(admin: Endpoint, content_type: str, body: str) -> None:
    """A form or a script of another page can post these types without being asked; so they order nothing."""
    assert fetch(admin, "POST", DRAIN, content_type=content_type, body=body).status == 415


@pytest.mark.parametrize("order", ["drain", "ready"])
@pytest.mark.parametrize(
    "name",
    ["predict2", "Predict1", "predict1%00", "predict1%20", "%ff", "..", "%2e%2e", "<script>", "x" * 3_000, "__class__"],
)
def test_order_to_an_unknown_predictor_is_404(admin: Endpoint, name: str, order: str) -> None:
    """A name that is not in the topology is refused in a short text, with the known ones or as an unknown path."""
    heard = fetch(admin, "POST", f"/predictors/{name}/{order}")
    assert heard.status == 404
    assert len(heard.json()["error"]) < 200
    assert name != "predict2" or "predict1" in heard.json()["error"]


UNKNOWN_PATHS = [
    *("/", "/predict", "/health", "/static/x", "/topology/", "/Topology", "/topology/..%2f", "/predictors", "/console"),
    *("/predictors/predict1", "/predictors/predict1/kill", "/predictors//predict1/drain", "/favicon.ico"),
    *("/predictors/predict1//drain", "//predictors/predict1//drain", "/predictors/predict1/drain/"),
]


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_path_unknown_is_404_in_json(admin: Endpoint, method: str, path: str) -> None:
    """No page, no redirect, no list of methods: JSON only; the board at / is another matter."""
    if (method, path) != ("GET", "/"):
        assert fetch(admin, method, path).status in ((404, 405) if path == "/" else (404,))


UNKNOWN_METHODS = ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"]
OF_THE_OTHER_KIND = [("GET", DRAIN), ("HEAD", DRAIN), ("GET", READY), ("POST", "/topology")]


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for method in UNKNOWN_METHODS for path in ("/topology", DRAIN, READY)] + OF_THE_OTHER_KIND,
)
def test_method_unknown_is_405_and_names_the_known(admin: Endpoint, path: str, method: str) -> None:
    """Looking is GET, ordering is POST; anything else, a link or a picture on a page too, is told what is allowed."""
    heard = fetch(admin, method, path)
    assert heard.status == 405
    assert ("GET" if path == "/topology" else "POST") in heard.headers["allow"]


def test_method_override_orders_nothing(admin: Endpoint) -> None:
    """A GET stays one, whatever else it says."""
    lines = "X-HTTP-Method-Override: POST\r\nX-HTTP-Method: POST\r\n"
    assert fetch(admin, "GET", f"{DRAIN}?_method=POST", lines).status == 405


def test_body_of_an_order_is_not_taken_for_a_request(admin: Endpoint) -> None:
    """Orders need no body; one that comes is skipped, and a large one ends the connection."""
    hidden = f"POST {DRAIN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"
    head = f"POST {READY} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for body in (hidden, hidden * 2_000):
        [heard] = admin.responses(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert heard.status == 200
        assert state(admin) == "serving"


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"X-Nul: \x00\r\n\r\n",
        b"X-Folded: a\r\n b\r\n\r\n",
        b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
def test_request_with_bad_framing_is_refused(admin: Endpoint, sent: bytes) -> None:
    """The admin port is as strict as the public one."""
    head = f"POST {DRAIN} HTTP/1.1\r\nHost: localhost\r\n".encode()
    assert admin.refusal(head + sent + SMUGGLED).status in (400, 431)


def listening(router: Router) -> dict[int, set[str]]:
    """The addresses that the process listens on, by port."""
    found: dict[int, set[str]] = {}
    for connection in psutil.Process(router.pid).net_connections("inet"):
        if connection.status == psutil.CONN_LISTEN:
            found.setdefault(connection.laddr.port, set()).add(connection.laddr.ip)
    return found


def test_admin_port_listens_on_loopback_though_the_public_one_is_open_to_all(admin: Endpoint) -> None:
    """--host is for the public port; nobody but this machine reaches the admin port."""
    router = admin.router
    public = int(router.url.rpartition(":")[2])
    wait_until(lambda: len(listening(router)) == 2, PROMPT_S)
    assert listening(router) == {public: {"0.0.0.0"}, admin.port: {"127.0.0.1"}}
