"""The swarm: real Locust processes against a stub router in this process, bounded in users and time."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.harness.project import ROOT
from tests.harness.swarm import (
    DEADLINE_S,
    StubRouter,
    Swarm,
    WebPage,
    free_port,
    from_request,
    headless,
    own_master_port,
)
from tests.harness.waiting import wait_until


@pytest.fixture
def stub() -> Iterator[Callable[..., StubRouter]]:
    """Makes stub routers."""
    with ExitStack() as ends:
        yield lambda *args, **kwargs: ends.enter_context(closing(StubRouter(*args, **kwargs)))


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Callable[..., Swarm]]:
    """Starts Locust processes; none outlives the test."""
    with ExitStack() as ends:

        def start(*options: str, **kwargs: Any) -> Swarm:
            run = Swarm(tmp_path / "run", *options, **kwargs)
            ends.callback(run.kill)
            return run

        yield start


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The options for programs."""
    run = tmp_path / "run"
    run.mkdir()
    return ["--first-failure", str(run / "first.json"), "--records", str(run / "records.csv")]


def run_to_its_end(swarm: Any, router: StubRouter, files: list[str], *options: str, **limits: int) -> Swarm:
    """A bounded run that stops at its first failure, or without one, with exit status 0."""
    run: Swarm = swarm(*headless(router, *options, "--stop-at-first-failure", *files, **limits))
    assert run.exit_status() == 0
    return run


def check_record(record: dict[str, Any], router: StubRouter, rows: list[dict[str, str]]) -> None:
    """The record's rate is what the stub and the records saw sent in the window."""
    check_window(record, router, rows)
    window_s, count = record["window_s"], record["requests_in_window"]
    assert record["rate_at_first_failure_per_s"] == pytest.approx(count / window_s)
    assert window_s == pytest.approx(min(10.0, record["elapsed_s"]))


def check_window(record: dict[str, Any], router: StubRouter, rows: list[dict[str, str]]) -> None:
    """The record counts what its run's rows say was sent in the window, and the stub saw arrive within a latency of it.

    Exact where all requests ended; those cut off by the stop, in flight or on their way, have no row.
    """
    end_s, count = record["time_s"], record["requests_in_window"]
    begin_s, longest_s = end_s - record["window_s"], max(float(row["latency_s"]) for row in rows)
    recorded = sum(begin_s < float(row["sent_at_s"]) <= end_s for row in rows)
    assert recorded <= count
    wait_until(lambda: count <= recorded + len(router.arrivals_s) - len(rows))
    cut_off = len(router.arrivals_s) - len(rows)
    assert router.arrived(begin_s + longest_s, end_s) - cut_off <= recorded
    assert recorded <= router.arrived(begin_s, end_s + longest_s)


def check_latest(page: WebPage, router: StubRouter) -> None:
    """The page's latest run, which has stopped, counts in its record what its rows and the stub saw."""
    *_, latest = page.download("first-failures/csv")

    def rows() -> list[dict[str, str]]:
        return [row for row in page.download("records/csv") if row["sent_at_s"] >= latest["started_at_s"]]

    # both come late: Locust shows figures of up to 2 s ago, and workers report now and then
    wait_until(lambda: len(rows()) == page.finished_requests(), DEADLINE_S)
    numbers = {key: float(latest[key]) for key in ("requests_in_window", "window_s")}
    check_window({"time_s": float(latest["first_failure_at_s"]), **numbers}, router, rows())


def test_first_failure_headless_is_noted_and_stops_the_run(stub: Any, swarm: Any, files: list[str]) -> None:
    """The first refusal is written with rate, users, cause and loads, and ends the run with exit status 0."""
    router = stub(from_request(75), last=75)
    run = run_to_its_end(swarm, router, files)
    assert time.time() - run.record()["time_s"] < 5.0
    record, rows = run.record(), run.rows()
    check_record(record, router, rows)
    assert (record["cause"], record["status"]) == ("saturated", 503)
    assert (record["users"], record["topology"]) == (60, "single")
    assert record["loads"] == {"predict1": {"load": 0, **router.figures}}
    assert "503 saturated" in run.output().split("Error report")[1]
    assert run.output().count("First failure after") == 1
    assert len(rows) == router.answered == 75
    seen = {(row["method"], row["status"], row["reason"], row["predictor"]) for row in rows}
    assert seen == {("GET", "200", "", "predict1"), ("GET", "503", "saturated", "predict1")}


def test_first_failure_in_a_longer_run_looks_back_ten_seconds(stub: Any, swarm: Any, files: list[str]) -> None:
    """In a run older than 10 s the window is the last 10 s: the burst at the start is not counted."""
    router = stub(lambda stub: time.time() - stub.arrivals_s[0] > 10.5)
    run = run_to_its_end(swarm, router, files, users=30)
    record = run.record()
    assert record["window_s"] == 10.0
    check_record(record, router, rows := run.rows())
    assert sum(float(row["sent_at_s"]) <= record["time_s"] - 10.0 for row in rows) > 0


def test_first_failure_without_the_option_lets_the_run_go_on(stub: Any, swarm: Any, files: list[str]) -> None:
    """Without --stop-at-first-failure one record is kept; Locust's exit status 1 tells of failed requests."""
    router = stub(from_request(20))
    run = swarm(*headless(router, *files, "--admin", f"http://127.0.0.1:{free_port()}", run_time_s=4))
    assert run.exit_status() == 1
    record = run.record()
    assert record["requests_in_window"] < len(router.arrivals_s)
    assert (record["loads"], record["topology"]) == ({}, None)
    assert run.output().count("First failure after") == 1


def test_run_without_a_failure_writes_no_first_failure(stub: Any, swarm: Any, files: list[str]) -> None:
    """A run in which nothing fails ends with 0 and leaves no record, not even that of an earlier run."""
    Path(files[1]).write_text("{}")
    router = stub(from_request(10**9))
    run = run_to_its_end(swarm, router, files, users=5, run_time_s=3)
    assert not Path(files[1]).exists()
    assert {row["status"] for row in run.rows()} == {"200"}


def test_requests_in_flight_at_the_stop_are_no_failures(stub: Any, swarm: Any, files: list[str]) -> None:
    """With 10 slots held, the 11th request is the failure; the 10 cut off by the stop are not recorded."""
    router = stub(lambda stub: stub.in_flight >= 10, hold_s=5.0)
    run = run_to_its_end(swarm, router, files)
    assert run.record()["loads"]["predict1"]["load"] == 10
    assert {row["status"] for row in run.rows()} == {"503"}


def test_transport_failure_is_noted_by_its_class(stub: Any, swarm: Any, files: list[str]) -> None:
    """Where nobody answers, the cause is the transport error and the status 0."""
    router = stub(from_request(1))
    router.close()
    run = run_to_its_end(swarm, router, files, users=1)
    record = run.record()
    assert (record["cause"], record["status"], record["requests_in_window"]) == ("ConnectionRefusedError", 0, 1)
    assert [(row["status"], row["reason"]) for row in run.rows()] == [("0", "ConnectionRefusedError")]


def test_processes_note_one_failure_with_the_rate_of_all(stub: Any, swarm: Any, files: list[str]) -> None:
    """With --processes the record is one, its rate that of all workers; each worker has its own records."""
    router = stub(from_request(90))
    run = run_to_its_end(swarm, router, files, *own_master_port(), "--processes", "2")
    check_record(run.record(), router, run.rows())
    assert run.record()["users"] == 60
    assert sorted(path.name for path in run.folder.glob("records*")) == ["records.0.csv", "records.1.csv"]
    assert all(run.rows(f"records.{index}.csv") for index in (0, 1))
    assert run.output().count("First failure after") == 1


def test_master_and_workers_note_one_failure_with_the_rate_of_all(stub: Any, swarm: Any, files: list[str]) -> None:
    """With separate workers the same; all three processes end with exit status 0."""
    router, port = stub(from_request(90)), own_master_port()
    limits = ["--master", "--expect-workers", "2", "--expect-workers-max-wait", "15"]
    master = swarm(*headless(router, *limits, *port, "--stop-at-first-failure", *files))
    workers = [swarm("--worker", *port) for _ in range(2)]
    assert [each.exit_status() for each in (master, *workers)] == [0, 0, 0]
    check_record(master.record(), router, master.rows())
    assert "".join(each.output() for each in (master, *workers)).count("First failure after") == 1


def test_sigterm_leaves_the_records_complete(stub: Any, swarm: Any, files: list[str]) -> None:
    """A run ended by SIGTERM has a row for every answer, in whole lines."""
    router = stub(from_request(10**9), last=65)
    run = swarm(*headless(router, *files))
    wait_until(lambda: router.answered == 65 and len(router.arrivals_s) > 75, DEADLINE_S)  # which tell that it goes on
    run.signal(signal.SIGTERM)
    assert run.exit_status() == 0
    rows = run.rows()
    assert len(rows) == router.answered
    assert all(None not in row.values() for row in rows)


def test_web_ui_stops_by_itself_and_notes_each_run(stub: Any, swarm: Any) -> None:
    """`cd locust && locust`: host filled in, the checkbox stops the run, a second run has its own record."""
    port = free_port()
    page = WebPage(swarm("--web-port", str(port), cwd=ROOT / "locust"), port)
    form = page.form()
    assert form["host"] == "http://127.0.0.1:8000"
    assert sorted(form["extra_options"]) == ["admin", "go_on", "payload", "server", "stop_at_first_failure"]
    defaults = {name: form["extra_options"][name]["default_value"] for name in ("stop_at_first_failure", "go_on")}
    assert defaults == {"stop_at_first_failure": True, "go_on": 10.0}
    for number in (1, 2):
        page.start(router := stub(from_request(70)))
        page.wait_for_stop(number)
        check_latest(page, router)
    assert "503 saturated" in page.stats()["errors"][0]["error"]
    assert page.run.running()


def test_web_ui_of_a_master_stops_while_users_are_being_added(stub: Any, swarm: Any) -> None:
    """A failure during the ramp-up stops master and workers for good, and the next run works."""
    port = free_port()
    page = WebPage(swarm("--web-port", str(port), "--processes", "2", *own_master_port()), port)

    def are_ready() -> bool:
        return [worker["state"] for worker in page.stats()["workers"]] == ["ready", "ready"]

    for number in (1, 2):
        wait_until(are_ready, DEADLINE_S)
        router = stub(from_request(10))
        page.start(router, spawn_rate=5)
        page.wait_for_stop(number)
    wait_until(are_ready, DEADLINE_S)  # requests that are on their way when the master stops still arrive
    wait_until(lambda: time.time() - router.arrivals_s[-1] > 2.5, DEADLINE_S)  # more than two steps of the ramp-up
    page.run.signal(signal.SIGTERM)
    page.run.exit_status()


@pytest.mark.parametrize("processes", [[], ["--processes", "2"]])
def test_web_ui_goes_on_after_the_first_failure_and_obeys_stop(processes: list[str], stub: Any, swarm: Any) -> None:
    """The record is that of the first failure; the run goes on for the time given, or until STOP is pressed."""
    port, router = free_port(), stub(from_request(70))
    page = WebPage(swarm("--web-port", str(port), *processes, *own_master_port()), port)
    wait_until(lambda: [w["state"] for w in page.stats().get("workers", ())] == ["ready"] * len(processes), DEADLINE_S)
    page.start(router, go_on="3")
    wait_until(page.failures_noted, DEADLINE_S)
    noted_s, arrived = time.monotonic(), len(router.arrivals_s)
    page.wait_for_stop(1)
    assert time.monotonic() - noted_s > 2.0
    assert len(router.arrivals_s) > arrived + 20  # 60 users go on
    check_latest(page, router)
    page.start(router := stub(from_request(70)), go_on="3600")
    wait_until(lambda: len(page.failures_noted()) == 2, DEADLINE_S)
    page.press_stop()
    page.wait_for_stop(2)
    page.run.signal(signal.SIGTERM)
    page.run.exit_status()


def test_headless_run_goes_on_for_the_time_given(stub: Any, swarm: Any, files: list[str]) -> None:
    """With --go-on the record is as without, the run ends that much later, and still with exit status 0."""
    router = stub(from_request(75))
    run = swarm(*headless(router, "--go-on", "2", *files))
    assert run.exit_status() == 0
    record = run.record()
    assert router.arrivals_s[-1] - record["time_s"] > 1.5
    check_record(record, router, run.rows())


def test_payload_of_the_form_is_checked_and_sent_by_workers(stub: Any, swarm: Any, tmp_path: Path) -> None:
    """A wrong payload is refused in the form; a right one is what every worker POSTs; the page has all records."""
    port, router, name = free_port(), stub(from_request(40), last=40), tmp_path / "payload.json"
    page = WebPage(swarm("--web-port", str(port), "--processes", "2", *own_master_port()), port)
    wait_until(lambda: [w["state"] for w in page.stats()["workers"]] == ["ready", "ready"], DEADLINE_S)
    name.write_bytes(b'{"half": ')
    assert "not JSON at line 1, column 10" in page.press_start(router, payload=str(name))["message"]
    name.write_bytes(content := b'{"mean radius" : 17.99}\n')
    told = page.press_start(router, origin="http://elsewhere.example", payload=str(name))
    assert "not from another site" in told["message"]
    assert "is not an address" in page.press_start(router, admin="localhost")["message"]
    assert page.stats()["state"] == "ready"
    page.start(router, payload=str(name), go_on="1")  # so that what is answered has ended when the run stops
    page.wait_for_stop(1)
    assert set(router.bodies) == {("application/json", content)}
    wait_until(lambda: len(page.download("records/csv")) == page.finished_requests() == router.answered, DEADLINE_S)
    rows = page.download("records/csv")
    assert {(row["method"], row["status"]) for row in rows} == {("POST", "200"), ("POST", "503")}


def test_busy_web_port_is_one_line_and_status_2(swarm: Any) -> None:
    """Where another program serves at --web-port, Locust says so instead of a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        run = swarm("--web-port", str(server.getsockname()[1]))
        assert run.exit_status() == 2
    assert run.output().splitlines()[-1].startswith("locust: error: --web-port ")
    assert "Traceback" not in run.output()
