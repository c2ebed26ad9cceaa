"""A predictor as a real process: its answers over HTTP, its service time and places, its start and stop."""

import json
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

PREDICTORS = Path(__file__).resolve().parents[2] / "predictors"
SAMPLE = (PREDICTORS / "sample.json").read_bytes()
JSON_TYPE = {"Content-Type": "application/json"}
START_DEADLINE_S = 30.0
ANSWER_DEADLINE_S = 20.0
STOP_DEADLINE_S = 5.0
SERVICE_TIME_S = 1.0  # long enough to tell one after the other from at once, however busy the machine is
CAPACITY = 10


class Predictor(NamedTuple):
    """A running predictor and its address."""

    process: "subprocess.Popen[str]"
    url: str
    port: int


class Timed(NamedTuple):
    """A status and how long after the start of its group of requests it came."""

    status: int
    after_s: float


@contextmanager
def predictor(*arguments: str, name: str = "predict1", cwd: str = "/") -> Iterator[Predictor]:
    """Run a predictor on a free port, from a directory that is not the project's, until the block ends."""
    command = [sys.executable, str(PREDICTORS / f"{name}.py"), "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], START_DEADLINE_S)[0], "no address was printed"
            said = process.stdout.readline()
            found = re.fullmatch(rf"{name}: serving on (http://127\.0\.0\.1:(\d+))\n", said)
            assert found
            yield Predictor(process, found[1], int(found[2]))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def quick() -> Iterator[Predictor]:
    """A predictor without service time."""
    with predictor("--service-time", "0") as running:
        yield running


@pytest.fixture(scope="module")
def slow() -> Iterator[Predictor]:
    """A predictor with service time and the usual capacity."""
    with predictor("--service-time", str(SERVICE_TIME_S)) as running:
        yield running


def post(url: str, body: Any, **headers: str) -> requests.Response:
    """POST a body to predict, as JSON unless `headers` say otherwise."""
    return requests.post(f"{url}/predict", data=body, headers=headers or JSON_TYPE, timeout=ANSWER_DEADLINE_S)


def post_many(pool: ThreadPoolExecutor, url: str, count: int) -> list[Future[Timed]]:
    """Send the sample `count` times at once; each outcome's time counts from this call."""
    start = time.monotonic()

    def one() -> Timed:
        return Timed(post(url, SAMPLE).status_code, time.monotonic() - start)

    return [pool.submit(one) for _ in range(count)]


def raw_post(length: int) -> bytes:
    """The head of a POST to predict that announces a body of `length` bytes."""
    return (
        "POST /predict HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


@contextmanager
def send_raw(running: Predictor, count: int) -> Iterator[list[socket.socket]]:
    """Send the sample on `count` connections without waiting for the answers; closes them in the end."""
    with ExitStack() as stack:
        address = ("127.0.0.1", running.port)
        connections = (socket.create_connection(address, timeout=ANSWER_DEADLINE_S) for _ in range(count))
        clients = [stack.enter_context(connection) for connection in connections]
        for client in clients:
            client.sendall(raw_post(len(SAMPLE)) + SAMPLE)
        yield clients


def timed(call: Any) -> tuple[Any, float]:
    """The call's result and how long it took, in seconds."""
    start = time.monotonic()
    return call(), time.monotonic() - start


def with_value(text: str) -> bytes:
    """The sample with another value for mean area, written as it stands."""
    return re.sub(rb'("mean area": )[^,]+', rb"\g<1>" + text.encode(), SAMPLE)


def run(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a predictor that is expected to end by itself."""
    command = [sys.executable, str(PREDICTORS / f"{name}.py"), *arguments]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=START_DEADLINE_S)


def assert_one_line(ended: "subprocess.CompletedProcess[str]", *parts: str) -> None:
    """Check for a user's mistake: exit status 2, nothing on stdout, one line on stderr that holds `parts`."""
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith("\n")
    assert ended.stderr.count("\n") == 1
    assert all(part in ended.stderr for part in parts)


def test_predict_one_record_answers_an_object_with_its_maker(quick: Predictor) -> None:
    """One record gives one object: who made it, the class, and its probability."""
    answer = post(quick.url, SAMPLE)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    made = answer.json()
    assert (made["predictor"], made["prediction"]) == ("predict1", "malignant")
    assert made["probability"] == made["probabilities"]["malignant"] == pytest.approx(0.933, abs=0.001)


def test_predict_list_answers_a_list_in_its_order(quick: Predictor) -> None:
    """A list of records gives a list of such objects, one for each, in the same order."""
    healthy = dict.fromkeys(json.loads(SAMPLE), 0)
    body = json.dumps([json.loads(SAMPLE), healthy, json.loads(SAMPLE)])
    made = post(quick.url, body).json()
    assert [one["prediction"] for one in made] == ["malignant", "benign", "malignant"]
    assert {one["predictor"] for one in made} == {"predict1"}
    assert made[0] == post(quick.url, SAMPLE).json() | {
        key: pytest.approx(made[0][key]) for key in ("probability", "probabilities")
    }


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON;x=y"])
def test_predict_json_type_with_parameters_is_accepted(quick: Predictor, content_type: str) -> None:
    """Parameters and letter case of the media type do not matter."""
    assert post(quick.url, SAMPLE, **{"Content-Type": content_type}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"mean area=1", None),
        (b"[" * 100_000, None),
        (b"[" * 100_000 + b"]" * 100_000, None),
        (b'{"a":' * 100_000, None),
        (b'{"mean \xff": 1}', None),
        (b"[]", None),
        (b"NaN", None),
        (b"[" + b",".join([b"{}"] * 1_001) + b"]", None),
        (b"{}", "mean radius"),
        (SAMPLE.replace(b"mean area", b"mean_area"), "mean_area"),
        (SAMPLE.replace(b"mean area", b"mean radius"), "mean radius"),
        *((with_value(text), "mean area") for text in ("NaN", "-Infinity", "1e999", "9" * 5_000)),
        *((with_value(text), "mean area") for text in ("true", "null", '"719.5"', "[1]", "{}")),
        (with_value('"' + "x" * 900_000 + '"'), "mean area"),
    ],
    ids=range(22),
)
def test_predict_bad_body_is_400_with_the_field_and_the_next_is_served(
    quick: Predictor, body: bytes, field: str | None
) -> None:
    """Bad input is a short 400 in JSON that names the field; the connection and the server go on."""
    with requests.Session() as session:
        url = f"{quick.url}/predict"
        answer = session.post(url, data=body, headers=JSON_TYPE, timeout=ANSWER_DEADLINE_S)
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")
        assert answer.json().get("field") == field
        assert len(answer.content) < 2_000
        good = session.post(url, data=SAMPLE, headers=JSON_TYPE, timeout=ANSWER_DEADLINE_S)
        assert good.status_code == 200


def test_predict_bad_row_of_a_list_is_named(quick: Predictor) -> None:
    """In a list, the error says which row it is about, counted from 0."""
    answer = post(quick.url, b"[" + SAMPLE + b"," + with_value("true") + b"]")
    assert answer.status_code == 400
    assert (answer.json()["row"], answer.json()["field"]) == (1, "mean area")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {"X-No-Type": "at all"},
        {**JSON_TYPE, "Content-Encoding": "gzip"},
        {**JSON_TYPE, "Content-Encoding": "identity, br"},
    ],
)
def test_predict_other_type_or_coding_is_415(quick: Predictor, headers: dict[str, str]) -> None:
    """Only uncompressed application/json is read, and the error says so."""
    answer = post(quick.url, SAMPLE, **headers)
    assert answer.status_code == 415
    assert "accepted: " in answer.json()["error"]


@pytest.mark.parametrize("chunked", [False, True])
def test_predict_body_over_the_limit_is_413(quick: Predictor, chunked: bool) -> None:
    """More than 1 MiB is refused, whether its length was announced or not; 1 MiB itself is read."""
    limit = 1024 * 1024
    over = SAMPLE.ljust(limit + 1)
    assert post(quick.url, iter([over]) if chunked else over).status_code == 413
    exact = SAMPLE.ljust(limit)
    assert post(quick.url, iter([exact]) if chunked else exact).status_code == 200


def test_predict_announced_oversize_is_refused_before_it_is_sent(quick: Predictor) -> None:
    """A client that announces too much hears 413 although it has sent no byte of the body."""
    with socket.create_connection(("127.0.0.1", quick.port), timeout=ANSWER_DEADLINE_S) as client:
        client.sendall(raw_post(99_999_999_999))
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *((method, "/predict", 405) for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")),
        *((method, "/health", 405) for method in ("POST", "OPTIONS", "DELETE")),
        *(("GET", path, 404) for path in ("/", "/predict/", "/health/x", "/static/x", "/metrics")),
        *(("POST", path, 404) for path in ("/", "/predict/", "/Predict")),
    ],
)
def test_other_request_is_refused_in_json(quick: Predictor, method: str, path: str, status: int) -> None:
    """Two paths, one method each; everything else is 404 or 405, in JSON, without a redirect."""
    url = quick.url + path
    answer = requests.request(method, url, allow_redirects=False, timeout=ANSWER_DEADLINE_S)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert method == "HEAD" or answer.json()["error"]


def test_health_answers_the_name(quick: Predictor) -> None:
    """The health check says that it works and who it is."""
    answer = requests.get(f"{quick.url}/health", timeout=ANSWER_DEADLINE_S)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "predictor": "predict1"})


def test_capacity_requests_are_served_at_once_and_health_besides(slow: Predictor) -> None:
    """Ten requests take one service time together; health and bad input are answered meanwhile, at once."""
    with ThreadPoolExecutor(CAPACITY) as pool:
        sent = post_many(pool, slow.url, CAPACITY)
        waited = []
        while not any(one.done() for one in sent):
            health, took_s = timed(lambda: requests.get(f"{slow.url}/health", timeout=ANSWER_DEADLINE_S))
            assert health.status_code == 200
            waited.append(took_s)
        outcomes = [one.result(ANSWER_DEADLINE_S) for one in sent]
    assert {one.status for one in outcomes} == {200}
    assert min(one.after_s for one in outcomes) >= SERVICE_TIME_S
    assert max(one.after_s for one in outcomes) < 2 * SERVICE_TIME_S
    assert len(waited) >= 3
    assert sorted(waited)[len(waited) // 2] < SERVICE_TIME_S / 5


def test_one_request_more_than_capacity_waits_its_turn(slow: Predictor) -> None:
    """The eleventh request is not refused: it starts when one of the ten is answered."""
    with ThreadPoolExecutor(CAPACITY + 1) as pool:
        sent = post_many(pool, slow.url, CAPACITY + 1)
        outcomes = sorted((one.result(ANSWER_DEADLINE_S) for one in sent), key=lambda one: one.after_s)
    assert {one.status for one in outcomes} == {200}
    assert outcomes[0].after_s >= SERVICE_TIME_S
    assert outcomes[-1].after_s >= 2 * SERVICE_TIME_S
    assert outcomes[-2].after_s < outcomes[-1].after_s - SERVICE_TIME_S / 2


def test_bad_input_takes_no_place_and_no_service_time() -> None:
    """With its only place taken for long and another request waiting, bad input is still refused at once."""
    with predictor("--service-time", "5", "--capacity", "1") as busy, send_raw(busy, 2) as clients:
        assert requests.get(f"{busy.url}/health", timeout=ANSWER_DEADLINE_S).ok  # so the two have arrived
        answer, took_s = timed(lambda: post(busy.url, b"{}"))
        assert answer.status_code == 400
        assert took_s < 2.5
        assert not select.select(clients, [], [], 0)[0]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_answers_what_is_in_flight_and_exits_0(signum: signal.Signals) -> None:
    """A polite stop loses no request that was sent before it."""
    with predictor("--service-time", "1") as running, send_raw(running, 3) as clients:
        running.process.send_signal(signum)
        for client in clients:
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        # The clients keep their connections open: the predictor must not wait for them.
        assert running.process.wait(STOP_DEADLINE_S) == 0
        assert running.process.stdout.read().endswith("predict1: stopped\n")


def test_start_from_another_directory_gives_every_predictor_its_name(tmp_path: Path) -> None:
    """Each of the three starts from any working directory and answers under its own name."""
    for name in ("predict2", "predict3"):
        with predictor("--service-time", "0", name=name, cwd=str(tmp_path)) as running:
            assert post(running.url, SAMPLE).json()["predictor"] == name


@pytest.mark.parametrize(("name", "port"), [("predict1", 9696), ("predict2", 9697), ("predict3", 9698)])
def test_help_names_the_usual_port(name: str, port: int) -> None:
    """Each predictor has its own port, and --help tells it with every option."""
    ended = run(name, "--help")
    assert ended.returncode == 0
    assert f"(default: {port})" in ended.stdout
    assert all(option in ended.stdout for option in ("--host", "--service-time", "--capacity"))


def test_start_on_a_busy_port_is_one_line_and_exit_2(quick: Predictor) -> None:
    """A busy port is named with the remedy, not with a traceback."""
    ended = run("predict2", "--port", str(quick.port))
    assert_one_line(ended, "predict2: ", f"port {quick.port} ", "busy")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--service-time", value) for value in ("-1", "nan", "1e9")),
        *(("--capacity", value) for value in ("0", "99999999999999999999")),
        ("--port", "65536"),
        ("--host", "no such host"),
    ],
)
def test_start_with_a_bad_value_is_one_line_and_exit_2(option: str, value: str) -> None:
    """A wrong value is named with what is accepted, and nothing starts."""
    assert_one_line(run("predict1", "--port=0", f"{option}={value}"), "predict1: ", value, "give")


def test_start_with_an_unknown_argument_is_one_line_and_exit_2() -> None:
    """An unknown or shortened option is refused by name."""
    assert_one_line(run("predict1", "--cap", "3"), "predict1: ", "--cap")
