"""The swarm: real Locust processes against a stub router in this process, bounded in users and time."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 30.0
FIGURES = {"peak_load": 10, "capacity": 10, "status": True}
SATURATED = b'{"error": "every predictor is at capacity", "reason": "saturated"}'


class StubRouter:
    """Answers /predict with 200, with 503 when `refuses(self)`; /topology tells the requests in flight."""

    def __init__(self, refuses: Callable[[StubRouter], bool], hold_s: float = 0.0) -> None:
        self.arrivals_s: list[float] = []
        self.answered = self.in_flight = 0
        self.refuses, self.hold_s = refuses, hold_s
        self.lock, self.released = threading.Lock(), threading.Event()
        self._server = Server(("127.0.0.1", 0), type("Handler", (StubHandler,), {"stub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End every held answer and the server."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class Server(ThreadingHTTPServer):
    """Takes the whole swarm's connections at once; a client that is gone is no error."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet: a stopped swarm breaks its connections."""


class StubHandler(BaseHTTPRequestHandler):
    """One connection of the swarm."""

    protocol_version = "HTTP/1.1"
    stub: StubRouter

    def do_GET(self) -> None:
        """Both ports of the router in one."""
        if self.path == "/topology":
            predictors = {"predict1": {"load": self.stub.in_flight, **FIGURES, "port": "9696"}}
            return self.answer(200, json.dumps({"topology": "single", "predictors": predictors}).encode())
        with self.stub.lock:
            self.stub.arrivals_s.append(time.time())
            refused = self.stub.refuses(self.stub)
            self.stub.in_flight += not refused
        if refused:
            self.answer(503, SATURATED)
        else:
            self.stub.released.wait(self.stub.hold_s)
            with self.stub.lock:
                self.stub.in_flight -= 1
            self.answer(200, b"{}")
        self.stub.answered += 1
        return None

    def answer(self, status: int, body: bytes) -> None:
        """Send one answer."""
        self.send_response(status)
        self.send_header("X-Predictor", "predict1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Swarm:
    """One Locust process and its output."""

    def __init__(self, folder: Path, *options: str, cwd: Path = ROOT) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.log = folder / f"locust{time.monotonic_ns()}.log"
        file = [] if cwd != ROOT else ["-f", "locust/locustfile.py"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "locust", *file, *options],
                cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text()

    def exit_status(self) -> int:
        """Wait for the end."""
        return self.process.wait(DEADLINE_S)

    def record(self) -> dict[str, Any]:
        """The first-failure file."""
        return dict(json.loads((self.folder / "first.json").read_text()))

    def rows(self, name: str = "records*.csv") -> list[dict[str, str]]:
        """The records of all its processes."""
        texts = [path.read_text() for path in self.folder.glob(name)]
        return [row for text in texts for row in csv.DictReader(text.splitlines())]


@pytest.fixture
def stub() -> Iterator[Callable[..., StubRouter]]:
    """Makes stub routers."""
    stubs: list[StubRouter] = []

    def make(*args: Any, **kwargs: Any) -> StubRouter:
        stubs.append(StubRouter(*args, **kwargs))
        return stubs[-1]

    yield make
    for each in stubs:
        each.close()


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Callable[..., Swarm]]:
    """Starts Locust processes; none outlives the test."""
    swarms: list[Swarm] = []

    def start(*options: str, **kwargs: Any) -> Swarm:
        swarms.append(Swarm(tmp_path / "run", *options, **kwargs))
        return swarms[-1]

    yield start
    for each in swarms:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The options for programs."""
    run = tmp_path / "run"
    run.mkdir()
    return ["--first-failure", str(run / "first.json"), "--records", str(run / "records.csv")]


def from_request(number: int) -> Callable[[StubRouter], bool]:
    """Refuse this request and all later ones."""
    return lambda stub: len(stub.arrivals_s) >= number


def headless(router: StubRouter, *options: str, users: int = 60, run_time_s: int = 20) -> list[str]:
    """Options of a bounded run."""
    swarm = ["--headless", "--only-summary", "-u", str(users), "-r", "60", "-t", f"{run_time_s}s"]
    return [*swarm, "--host", router.url, "--admin", router.url, *options]


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def check_record(record: dict[str, Any], router: StubRouter, rows: list[dict[str, str]]) -> None:
    """The record's rate is what the stub and the records saw sent in the window."""
    window_s, count = record["window_s"], record["requests_in_window"]
    arrived, recorded = (
        sum(record["time_s"] - window_s < each_s <= record["time_s"] for each_s in times_s)
        for times_s in (router.arrivals_s, [float(row["sent_at_s"]) for row in rows])
    )
    assert abs(count - arrived) <= 2
    assert recorded <= count <= recorded + 2
    assert record["rate_at_first_failure_per_s"] == pytest.approx(count / window_s)
    assert window_s == pytest.approx(min(10.0, record["elapsed_s"]))


def test_first_failure_headless_is_noted_and_stops_the_run(stub: Any, swarm: Any, files: list[str]) -> None:
    """The first refusal is written with rate, users, cause and loads, and ends the run with exit status 0."""
    router = stub(from_request(75))
    run = swarm(*headless(router, "--stop-at-first-failure", *files))
    assert run.exit_status() == 0
    assert time.time() - run.record()["time_s"] < 5.0
    record, rows = run.record(), run.rows()
    check_record(record, router, rows)
    assert (record["cause"], record["status"]) == ("saturated", 503)
    assert (record["users"], record["topology"]) == (60, "single")
    assert record["loads"] == {"predict1": {"load": 0, **FIGURES}}
    assert "503 saturated" in run.output.split("Error report")[1]
    assert run.output.count("First failure after") == 1
    assert abs(len(rows) - router.answered) <= 2
    seen = {(row["method"], row["status"], row["reason"], row["predictor"]) for row in rows}
    assert seen == {("GET", "200", "", "predict1"), ("GET", "503", "saturated", "predict1")}


def test_first_failure_in_a_longer_run_looks_back_ten_seconds(stub: Any, swarm: Any, files: list[str]) -> None:
    """In a run older than 10 s the window is the last 10 s: the burst at the start is not counted."""
    router = stub(lambda stub: time.time() - stub.arrivals_s[0] > 10.5)
    run = swarm(*headless(router, "--stop-at-first-failure", *files, users=30))
    assert run.exit_status() == 0
    record = run.record()
    assert record["window_s"] == 10.0
    assert record["requests_in_window"] <= len(router.arrivals_s) - 30
    check_record(record, router, run.rows())


def test_first_failure_without_the_option_lets_the_run_go_on(stub: Any, swarm: Any, files: list[str]) -> None:
    """Without --stop-at-first-failure one record is kept; Locust's exit status 1 tells of failed requests."""
    router = stub(from_request(20))
    run = swarm(*headless(router, *files, "--admin", f"http://127.0.0.1:{free_port()}", run_time_s=4))
    assert run.exit_status() == 1
    record = run.record()
    assert record["requests_in_window"] < len(router.arrivals_s)
    assert (record["loads"], record["topology"]) == ({}, None)
    assert run.output.count("First failure after") == 1


def test_run_without_a_failure_writes_no_first_failure(stub: Any, swarm: Any, files: list[str]) -> None:
    """A run in which nothing fails ends with 0 and leaves no record, not even that of an earlier run."""
    Path(files[1]).write_text("{}")
    router = stub(from_request(10**9))
    run = swarm(*headless(router, "--stop-at-first-failure", *files, users=5, run_time_s=1))
    assert run.exit_status() == 0
    assert not Path(files[1]).exists()
    assert {row["status"] for row in run.rows()} == {"200"}


def test_requests_in_flight_at_the_stop_are_no_failures(stub: Any, swarm: Any, files: list[str]) -> None:
    """With 10 slots held, the 11th request is the failure; the 10 cut off by the stop are not recorded."""
    router = stub(lambda stub: stub.in_flight >= 10, hold_s=5.0)
    run = swarm(*headless(router, "--stop-at-first-failure", *files))
    assert run.exit_status() == 0
    assert run.record()["loads"]["predict1"]["load"] == 10
    assert {row["status"] for row in run.rows()} == {"503"}


def test_transport_failure_is_noted_by_its_class(stub: Any, swarm: Any, files: list[str]) -> None:
    """Where nobody answers, the cause is the transport error and the status 0."""
    router = stub(from_request(1))
    router.close()
    run = swarm(*headless(router, "--stop-at-first-failure", *files, users=1))
    assert run.exit_status() == 0
    record = run.record()
    assert (record["cause"], record["status"], record["requests_in_window"]) == (
        "ConnectionRefusedError",
        0,
        1,
    )
    assert [(row["status"], row["reason"]) for row in run.rows()] == [("0", "ConnectionRefusedError")]


def own_master_port() -> list[str]:
    """Options that keep a master and its workers to themselves."""
    port = str(free_port())
    return ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]


def test_processes_note_one_failure_with_the_rate_of_all(stub: Any, swarm: Any, files: list[str]) -> None:
    """With --processes the record is one, its rate that of all workers; each worker has its own records."""
    router = stub(from_request(90))
    options = [*own_master_port(), "--processes", "2", "--stop-at-first-failure", *files]
    run = swarm(*headless(router, *options))
    assert run.exit_status() == 0
    check_record(run.record(), router, run.rows())
    assert run.record()["users"] == 60
    assert sorted(path.name for path in run.folder.glob("records*")) == ["records.0.csv", "records.1.csv"]
    assert all(run.rows(f"records.{index}.csv") for index in (0, 1))
    assert run.output.count("First failure after") == 1


def test_master_and_workers_note_one_failure_with_the_rate_of_all(stub: Any, swarm: Any, files: list[str]) -> None:
    """With separate workers the same; all three processes end with exit status 0."""
    router, port = stub(from_request(90)), own_master_port()
    limits = ["--master", "--expect-workers", "2", "--expect-workers-max-wait", "15"]
    master = swarm(*headless(router, *limits, *port, "--stop-at-first-failure", *files))
    workers = [swarm("--worker", *port) for _ in range(2)]
    assert [each.exit_status() for each in (master, *workers)] == [0, 0, 0]
    check_record(master.record(), router, master.rows())
    assert "".join(each.output for each in (master, *workers)).count("First failure after") == 1


def test_sigterm_leaves_the_records_complete(stub: Any, swarm: Any, files: list[str]) -> None:
    """A run ended by SIGTERM has a row for every answer, in whole lines."""
    router = stub(from_request(10**9))
    run = swarm(*headless(router, *files))
    until(lambda: router.answered >= 65)
    run.process.send_signal(signal.SIGTERM)
    assert run.exit_status() == 0
    rows = run.rows()
    assert abs(len(rows) - router.answered) <= 2
    assert all(None not in row.values() for row in rows)


class WebPage:
    """Locust's web UI, used as its page uses it."""

    def __init__(self, run: Swarm, port: int) -> None:
        self.run, self.url = run, f"http://127.0.0.1:{port}"
        until(self._is_up)

    def _is_up(self) -> bool:
        try:
            return requests.get(self.url, timeout=5).ok
        except requests.ConnectionError:
            assert self.run.process.poll() is None, self.run.output
            return False

    def form(self) -> dict[str, Any]:
        """What the page fills its form with."""
        page = requests.get(self.url, timeout=5).text
        form: dict[str, Any] = json.JSONDecoder().raw_decode(page, page.index("{", page.index("templateArgs")))[0]
        return form

    def start(self, router: StubRouter, spawn_rate: int = 60) -> None:
        """Fill in the form, with the checkbox, and press Start."""
        form = {"user_count": 60, "spawn_rate": spawn_rate, "host": router.url, "admin": router.url}
        started = requests.post(f"{self.url}/swarm", data={**form, "stop_at_first_failure": "true"}, timeout=5)
        assert started.json()["success"], started.text

    def stats(self) -> dict[str, Any]:
        """What the page polls."""
        return dict(requests.get(f"{self.url}/stats/requests", timeout=5).json())

    def failures_noted(self) -> list[str]:
        """The lines of the log."""
        return re.findall(r"First failure after .*", self.run.output)

    def wait_for_stop(self, failures: int) -> None:
        """Wait until the run's failure is noted, as this many-th, and the run has stopped by itself."""
        until(lambda: len(self.failures_noted()) == failures)
        until(lambda: self.stats()["state"] == "stopped")


def test_web_ui_stops_by_itself_and_notes_each_run(stub: Any, swarm: Any) -> None:
    """`cd locust && locust`: host filled in, the checkbox stops the run, a second run has its own record."""
    port = free_port()
    page = WebPage(swarm("--web-port", str(port), cwd=ROOT / "locust"), port)
    form = page.form()
    assert form["host"] == "http://127.0.0.1:8000"
    assert sorted(form["extra_options"]) == ["admin", "stop_at_first_failure"]
    for number in (1, 2):
        page.start(stub(from_request(70)))
        page.wait_for_stop(number)
        assert abs(int(re.findall(r"\((\d+) in", page.failures_noted()[-1])[0]) - 70) <= 2
    assert "503 saturated" in page.stats()["errors"][0]["error"]
    assert page.run.process.poll() is None


def test_web_ui_of_a_master_stops_while_users_are_being_added(stub: Any, swarm: Any) -> None:
    """A failure during the ramp-up stops master and workers for good, and the next run works."""
    port = free_port()
    page = WebPage(swarm("--web-port", str(port), "--processes", "2", *own_master_port()), port)
    for number in (1, 2):
        until(lambda: [w["state"] for w in page.stats()["workers"]] == ["ready", "ready"])
        router = stub(from_request(10))
        page.start(router, spawn_rate=5)
        page.wait_for_stop(number)
    sent, seen_until_s = len(router.arrivals_s), time.monotonic() + 2.5  # more than two steps of the ramp-up
    until(lambda: time.monotonic() > seen_until_s or len(router.arrivals_s) > sent)
    assert len(router.arrivals_s) == sent
    page.run.process.send_signal(signal.SIGTERM)
    page.run.exit_status()
