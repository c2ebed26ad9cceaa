"""A predictor as a real process: its answers over HTTP, its service time and slots, its start and stop."""

import json
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.harness.http_client import connect, fetch, post
from tests.harness.processes import Process, assert_mistake
from tests.harness.project import ROOT, SAMPLE
from tests.harness.stage import Stage
from tests.harness.warm import run_warm

SERVICE_TIME_S = 1.0  # long enough to tell one after the other from at once, however busy the machine is
STOP_DEADLINE_S = 5.0
CAPACITY = 10


class Predictor(NamedTuple):
    """A running predictor and its address."""

    process: Process
    url: str


class Timed(NamedTuple):
    """A status and how long after the start of its group of requests it came."""

    status: int
    after_s: float


def start(stage: Stage, service_time_s: float, *options: str) -> Predictor:
    """Runs a predictor on a free port, from a directory that is not the project's; its model is a light one."""
    return started(stage.light_predictor("predict1", 0, *options, service_time_s=service_time_s))


def started(process: Process) -> Predictor:
    """Waits until it serves, which is all that it says."""
    [url] = process.addresses(1)
    assert process.output() == f"{process.name}: serving on {url}\n"
    return Predictor(process, url)


@pytest.fixture(scope="module")
def quick(shared_stage: Stage) -> Predictor:
    """A predictor without service time, with the real model."""
    return started(shared_stage.predictor("predict1", 0, service_time_s=0.0))


@pytest.fixture(scope="module")
def slow(shared_stage: Stage) -> Predictor:
    """A predictor with service time and the usual capacity."""
    return start(shared_stage, SERVICE_TIME_S)


def post_many(pool: ThreadPoolExecutor, url: str, count: int) -> list[Future[Timed]]:
    """Sends the sample `count` times at once; each outcome's time counts from this call."""
    start_s = time.monotonic()

    def one() -> Timed:
        return Timed(fetch(url, body=SAMPLE).status, time.monotonic() - start_s)

    return [pool.submit(one) for _ in range(count)]


@contextmanager
def send_raw(running: Predictor, count: int) -> Iterator[list[Any]]:
    """Sends the sample on `count` connections without waiting for the answers; closes them in the end."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(running.url)) for _ in range(count)]
        for client in clients:
            client.sendall(post())
        yield clients


def with_value(text: str) -> bytes:
    """The sample with another value for mean area, written as it stands."""
    return re.sub(rb'("mean area": )[^,]+', rb"\g<1>" + text.encode(), SAMPLE)


def run(name: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Runs a predictor that ends by itself."""
    imported = ("serving.patched", "serving.server", "predictors.model")
    return run_warm(imported, str(ROOT / "predictors" / f"{name}.py"), *options, cwd=Path("/"))


def test_predict_one_record_answers_an_object_with_its_maker(quick: Predictor) -> None:
    """One record gives one object: who made it, the class, and its probability."""
    answer = fetch(quick.url, body=SAMPLE)
    assert answer.status == 200
    made = answer.json()
    assert (made["predictor"], made["prediction"], answer.predictor) == ("predict1", "malignant", "predict1")
    assert made["probability"] == made["probabilities"]["malignant"] == pytest.approx(0.933, abs=0.001)


def test_predict_list_answers_a_list_in_its_order(quick: Predictor) -> None:
    """A list of records gives a list of such objects, one for each, in the same order."""
    healthy = dict.fromkeys(json.loads(SAMPLE), 0)
    body = json.dumps([json.loads(SAMPLE), healthy, json.loads(SAMPLE)]).encode()
    made = fetch(quick.url, body=body).json()
    assert [one["prediction"] for one in made] == ["malignant", "benign", "malignant"]
    assert {one["predictor"] for one in made} == {"predict1"}
    assert made[0] == fetch(quick.url, body=SAMPLE).json() | {
        key: pytest.approx(made[0][key]) for key in ("probability", "probabilities")
    }


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON;x=y"])
def test_predict_json_type_with_parameters_is_accepted(quick: Predictor, content_type: str) -> None:
    """Parameters and letter case of the media type do not matter."""
    assert fetch(quick.url, body=SAMPLE, Content_Type=content_type).status == 200


def test_predict_bad_row_of_a_list_is_named_with_its_field(quick: Predictor) -> None:
    """In a list, the error says which row it is about, counted from 0; alone, only the field."""
    answer = fetch(quick.url, body=b"[" + SAMPLE + b"," + with_value("true") + b"]")
    assert (answer.status, answer.json()["row"], answer.json()["field"]) == (400, 1, "mean area")
    alone = fetch(quick.url, body=with_value("NaN"))
    assert (alone.status, alone.json()["field"], "row" in alone.json()) == (400, "mean area", False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/jsonp"},
        {"X_No_Type": "at all"},
        {"Content_Type": "application/json", "Content_Encoding": "gzip"},
        {"Content_Type": "application/json", "Content_Encoding": "identity, br"},
    ],
)
def test_predict_other_type_or_coding_is_415(quick: Predictor, headers: dict[str, str]) -> None:
    """Only uncompressed application/json is read, and the error says so."""
    answer = fetch(quick.url, body=SAMPLE, **headers)
    assert answer.status == 415
    assert "accepted: " in answer.json()["error"]


def test_health_answers_the_name(quick: Predictor) -> None:
    """The health check says that it works and who it is."""
    answer = fetch(quick.url, "/health")
    assert (answer.status, answer.json()) == (200, {"status": "ok", "predictor": "predict1"})


def test_capacity_requests_are_served_at_once_and_health_besides(slow: Predictor) -> None:
    """Ten requests take one service time together; health and bad input are answered meanwhile, at once."""
    with ThreadPoolExecutor(CAPACITY) as pool:
        sent = post_many(pool, slow.url, CAPACITY)
        waited = []
        while not any(one.done() for one in sent):
            health = fetch(slow.url, "/health")
            assert health.status == 200
            waited.append(health.took_s)
        outcomes = [one.result() for one in sent]
    assert {one.status for one in outcomes} == {200}
    assert min(one.after_s for one in outcomes) >= SERVICE_TIME_S
    assert max(one.after_s for one in outcomes) < 2 * SERVICE_TIME_S
    assert len(waited) >= 3
    assert sorted(waited)[len(waited) // 2] < SERVICE_TIME_S / 5


def test_one_request_more_than_capacity_waits_its_turn(slow: Predictor) -> None:
    """The eleventh request is not refused: it starts when one of the ten is answered."""
    with ThreadPoolExecutor(CAPACITY + 1) as pool:
        sent = post_many(pool, slow.url, CAPACITY + 1)
        outcomes = sorted((one.result() for one in sent), key=lambda one: one.after_s)
    assert {one.status for one in outcomes} == {200}
    assert outcomes[0].after_s >= SERVICE_TIME_S
    assert outcomes[-1].after_s >= 2 * SERVICE_TIME_S
    assert outcomes[-2].after_s < outcomes[-1].after_s - SERVICE_TIME_S / 2


def test_service_time_grows_with_the_body_and_a_slow_fault_multiplies_all_of_it(stage: Stage) -> None:
    """0.9 MB, of JSON's own white space, take their share; a record alone takes next to none, and GET none."""
    options = ("--service-time-per-mb", "1", "--fault-control")
    growing = started(stage.predictor("predict1", 0, *options, service_time_s=0.3))
    large = SAMPLE + b" " * (900_000 - len(SAMPLE))
    answer = fetch(growing.url, body=large)
    assert (answer.status, answer.json()["prediction"]) == (200, "malignant")
    assert 1.2 <= answer.took_s < 2.2
    assert 0.3 <= fetch(growing.url).took_s < 1.2
    assert 0.3 <= fetch(growing.url, body=SAMPLE).took_s < 1.2
    assert fetch(growing.url, "/fault", body=b'{"service_time_factor": 2}').status == 200
    assert fetch(growing.url, body=large).took_s >= 2.4


def test_bad_input_takes_no_slot_and_no_service_time(stage: Stage) -> None:
    """With its only slot taken for long and another request waiting, bad input is still refused at once."""
    busy = start(stage, 5.0, "--capacity", "1")
    with send_raw(busy, 2) as clients:
        assert fetch(busy.url, "/health").status == 200  # so the two have arrived
        answer = fetch(busy.url, body=b"{")
        assert answer.status == 400
        assert answer.took_s < 2.5
        assert not select.select(clients, [], [], 0)[0]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_answers_what_is_in_flight_and_exits_0(stage: Stage, signum: signal.Signals) -> None:
    """A polite stop loses no request that was sent before it."""
    running = start(stage, 1.0)
    with send_raw(running, 3) as clients:
        running.process.signal(signum)
        for client in clients:
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        # The clients keep their connections open: the predictor must not wait for them.
        assert running.process.wait(STOP_DEADLINE_S) == 0
        assert running.process.output().endswith("predict1: stopped\n")


def test_start_from_another_directory_gives_a_predictor_its_name(stage: Stage, tmp_path: Path) -> None:
    """It starts from any working directory and answers under its own name."""
    running = started(stage.predictor("predict3", 0, service_time_s=0.0, cwd=tmp_path))
    assert fetch(running.url, body=SAMPLE).json()["predictor"] == "predict3"


@pytest.mark.parametrize(("name", "port"), [("predict1", 9696), ("predict2", 9697), ("predict3", 9698)])
def test_help_names_the_usual_port(name: str, port: int) -> None:
    """Each predictor has its own name and port, and --help tells them with every option."""
    ended = run(name, "--help")
    assert ended.returncode == 0
    assert f"usage: {name}.py " in ended.stdout
    assert f"(default: {port})" in ended.stdout
    assert all(option in ended.stdout for option in ("--host", "--service-time", "--capacity"))


def test_start_on_a_busy_port_is_one_line_and_exit_2(quick: Predictor) -> None:
    """A busy port is named with the remedy, not with a traceback."""
    port = quick.url.rpartition(":")[2]
    assert_mistake(run("predict2", "--port", port), f"port {port} ", "busy", name="predict2")


@pytest.mark.parametrize(
    ("option", "value", "parts"),
    [
        *(("--service-time", value, [value, "give"]) for value in ("-1", "nan", "1e9")),
        *(("--service-time-per-mb", value, [value, "give"]) for value in ("-1", "inf", "3601")),
        *(("--capacity", value, [value, "give"]) for value in ("0", "99999999999999999999")),
        ("--port", "65536", ["65536", "give"]),
        ("--host", "no such host", ["no such host", "give"]),
        ("--cap", "3", ["--cap"]),
    ],
)
def test_start_with_a_bad_value_or_option_is_one_line_and_exit_2(option: str, value: str, parts: list[str]) -> None:
    """A wrong value is named with what is accepted, an unknown or shortened option by its name; nothing starts."""
    assert_mistake(run("predict1", "--port=0", f"{option}={value}"), *parts, name="predict1")
