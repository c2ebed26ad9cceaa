"""`router.py --server`: the predictors' own path, health check, payload and headers, with each engine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.deployment import Deployment
from tests.harness.http_client import fetch
from tests.harness.processes import ANY_PORTS, assert_mistake, run_router
from tests.harness.stage import Stage
from tests.harness.stubs import Received, StubPredictor, ports_of
from tests.harness.waiting import wait_until

SECRET = 'k"e%y$ {x}'  # what quoting, escapes and placeholders could get wrong
PAYLOAD = b'\x00{"inputs": [[1, 2]]}\n'
SERVER = {
    "path": "/v1/models/a%20b:predict?verbose=1",
    "health": "/healthz?live",
    "payload": "payload.bin",
    "content_type": "application/x-own; v=1",
    "health_interval_s": 0.1,
    "headers": {"Authorization": "Bearer {env:ROUTER_TEST_KEY}", "X-Own": "100% of $HOME \"'"},
}
OWN_PATH = "/v1/models/a%20b:predict"
ENGINES = [
    "flask",
    pytest.param("haproxy", marks=pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")),
]


LEFT_OUT = object()


def server_file(folder: Path, **changes: Any) -> str:
    """Writes a server file and its payload; a change to LEFT_OUT leaves the key out, None is null."""
    (folder / "payload.bin").write_bytes(PAYLOAD)
    path = folder / "my-server.json"
    path.write_text(json.dumps({key: value for key, value in {**SERVER, **changes}.items() if value is not LEFT_OUT}))
    return str(path)


def stubs_with(stage: Stage, health_path: str, number: int = 2) -> list[StubPredictor]:
    """Stubs whose health check is there."""
    stubs = stage.stubs(number)
    for stub in stubs:
        stub.health_path = health_path
    return stubs


def sent(deployed: Deployment, path: str, body: bytes | None = None, **headers: str) -> Received:
    """What a predictor gets of a request, which it answers well."""
    for stub in deployed.stubs:
        stub.received.clear()
    assert fetch(deployed.url, path, body, **headers).is_whole
    requests = [request for stub in deployed.stubs for request in stub.received]
    assert len(requests) == 1, requests
    [request] = requests
    return request


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def deployed(shared_stage: Stage, engine: str) -> Iterator[Deployment]:
    """A router that is given a server file, before two predictors that are as it says."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ROUTER_TEST_KEY", SECRET)
        stubs = stubs_with(shared_stage, str(SERVER["health"]))
        options = ["--engine", engine, "--server", server_file(shared_stage.folder)]
        yield shared_stage.deploy("2only", *options, stubs=stubs)


@pytest.mark.parametrize("path", ["/predict", OWN_PATH, f"{OWN_PATH}?x=1"])
def test_post_on_either_path_goes_to_the_predictors_own(deployed: Deployment, path: str) -> None:
    """A server's own clients can be pointed at the router; what they send arrives as it is, with the file's headers."""
    got = sent(deployed, path, b"[1]", Content_Type="text/own", Authorization="the client's", X_Other="1")
    assert (got.method, got.path, got.body) == ("POST", SERVER["path"], b"[1]")
    headers = {name: got.headers.get(name) for name in ("authorization", "x-own", "content-type", "x-other")}
    assert headers == {
        "authorization": f"Bearer {SECRET}",
        "x-own": "100% of $HOME \"'",
        "content-type": "text/own",
        "x-other": None,
    }


@pytest.mark.parametrize("path", ["/predict", OWN_PATH])
def test_get_is_passed_on_to_the_predictors_own_path(deployed: Deployment, path: str) -> None:
    """With the file's headers; the payload is what loads and proofs send."""
    got = sent(deployed, path)
    assert (got.method, got.path, got.body) == ("GET", SERVER["path"], b"")
    assert got.headers["authorization"] == f"Bearer {SECRET}"


def test_health_checks_go_to_their_path_with_the_headers(deployed: Deployment) -> None:
    """As predictions do; the router's own health stays where it was, and nothing else is served."""
    for stub in deployed.stubs:
        wait_until(lambda stub=stub: stub.checks)
        assert {check.path for check in stub.checks} == {SERVER["health"]}
        assert {check.headers["authorization"] for check in stub.checks} == {f"Bearer {SECRET}"}
    assert fetch(deployed.url, "/health").status == 200
    assert fetch(deployed.url, "/healthz").status == 404
    assert fetch(deployed.url, "/v1").status == 404


def test_headers_value_is_shown_nowhere(deployed: Deployment) -> None:
    """Not in an event, a metric, the log or an error, when a health check fails for want of it either."""
    deployed.stubs[0].healthy = False
    wait_until(lambda: "ejected" in deployed.router.events("predict1"))
    reason = deployed.router.snapshot()["events"][-1]["reason"]
    assert reason == f"health check answered 503 to GET {SERVER['health']}"
    deployed.stubs[0].healthy = True
    wait_until(lambda: deployed.router.predictors("state") == ["serving"] * 2)
    shown = [fetch(deployed.router.admin_url, path).body.decode() for path in ("/topology", "/metrics", "/")]
    shown += [deployed.router.output(), deployed.router.errors(), fetch(deployed.url, "/x").body.decode()]
    assert not [text for text in shown if SECRET in text or 'k\\"e%y' in text]


@pytest.mark.parametrize("path", ["/health", "/score"])
def test_own_path_may_be_the_routers_health(stage: Stage, engine: str, path: str) -> None:
    """GET /health is the router's own whatever the file says, POST the predictors'; without payload GET is passed on.

    Where there is no health check, a connection that is accepted is enough.
    """
    changes = dict.fromkeys(("payload", "content_type", "headers"), LEFT_OUT)
    file = server_file(stage.folder, path=path, health=None, **changes)
    stubs = stubs_with(stage, "/none", number=1)
    deployed = stage.deploy("single", "--engine", engine, "--server", file, stubs=stubs)
    assert sent(deployed, path, b"[2]")[:2] == ("POST", path)
    got = sent(deployed, "/predict")
    assert (got.method, got.path, got.body) == ("GET", path, b"")
    assert fetch(deployed.url, "/health").json() == {"status": "ok"} or path != "/health"
    stubs[0].go_down()
    wait_until(lambda: deployed.router.predictors("state") == ["down"])
    stubs[0].go_up()
    wait_until(lambda: deployed.router.predictors("state") == ["serving"])


def test_variable_that_is_not_set_is_one_line_at_the_start(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is served or changed."""
    monkeypatch.delenv("ROUTER_TEST_KEY", raising=False)
    path = stage.topology("single", [stage.reserve_port()])
    ended = run_router("--topology", str(path), "--server", server_file(stage.folder), *ANY_PORTS)
    assert_mistake(ended, "Authorization", "ROUTER_TEST_KEY is not set")
    assert list(path.parent.iterdir()) == [path]


def test_server_that_is_not_there_is_one_line(stage: Stage) -> None:
    """A name is looked for beside the ready-made ones."""
    assert_mistake(run_router("--server", "no-such-server", *ANY_PORTS), "unknown server 'no-such-server'")


@pytest.mark.parametrize("key", ["path", "health"])
def test_mixed_pool_is_served_by_flask_and_refused_for_haproxy(stage: Stage, engine: str, key: str) -> None:
    """HAProxy has one path and one health check for all its servers: the entry is named, and who can do it."""
    stubs = stage.stubs(2)
    stubs[1].health_path = "/up" if key == "health" else "/health"
    path = stage.topology("2only", ports_of(stubs))
    document = json.loads(path.read_text())
    document["predict2"][key] = "/up"
    path.write_text(json.dumps(document))
    if engine == "haproxy":
        ended = run_router("--topology", str(path), "--engine", engine, *ANY_PORTS)
        assert_mistake(ended, f'predict2: {key} is "/up"', "use --engine flask")
        assert list(path.parent.iterdir()) == [path]
        return
    deployed = stage.deploy(path, stubs=stubs)
    assert {deployed.fetch().predictor for _ in range(4)} == {"predict1", "predict2"}
    assert stubs[1].received[-1].path == ("/up" if key == "path" else "/predict")
