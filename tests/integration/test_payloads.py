"""What a server file says is what its server gets, from every load; and nobody else gets the secret in its headers."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests

from experiments.blocking.records import Point
from experiments.blocking.run import PointRun
from experiments.testbed.deployment import Deployment
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.signals import StopRequest
from experiments.testbed.steady_load import LoadPlan, SteadyLoad
from experiments.testbed.swarm import SwarmSettings, run_swarm
from experiments.testbed.topologies import find_topology
from server_file import read
from tests.harness.project import ROOT
from tests.harness.stubs import Received, StubServer, encoded
from tests.harness.swarm import DEADLINE_S, Swarm, WebPage, free_port, own_master_port
from tests.harness.waiting import wait_until

PAYLOAD = bytes(range(256)) * 4096  # 1 MiB, the most that there may be
SECRET = "s3cret-0f-the-test"
PATH = "/v1/score?model=mine"
POINT = Point(
    slots=10, capacities={}, aimed_blocking=0.01, rate_per_s=20.0, warm_up_arrivals=0, arrivals=10, seed=1
)  # fmt: skip


class Recorder(StubServer):
    """A model server that answers everything with 200, and keeps what it was asked."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self, request: Received, connection: Any) -> None:
        """Answers a request."""
        self.received.append(request)
        connection.sendall(encoded(200, b"{}"))

    def take(self) -> set[tuple[Any, ...]]:
        """What was asked since the last call: method, path, content type, authorization, whether it was the payload."""
        taken, self.received = self.received, []
        heads = (
            (each.method, each.path, each.headers.get("content-type"), each.headers.get("authorization"))
            for each in taken
        )
        return {(*head, each.body == PAYLOAD) for head, each in zip(heads, taken, strict=True)}


ASKED = {("POST", PATH, "application/octet-stream", f"Bearer {SECRET}", True)}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A server of its own for each test."""
    with closing(Recorder()) as server:
        yield server


@pytest.fixture
def server_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server file whose headers hold a secret of the environment."""
    monkeypatch.setenv("MY_KEY", SECRET)
    (tmp_path / "image.bin").write_bytes(PAYLOAD)
    document = {
        "command": "never-started",
        "path": PATH,
        "payload": "image.bin",
        "content_type": "application/octet-stream",
        "headers": {"Authorization": "Bearer {env:MY_KEY}"},
    }
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document))
    return path


def require_secret_in_no_file(folder: Path) -> None:
    """The files of a run, its logs among them: some are there, and none holds the value."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@pytest.fixture
def deployment(recorder: Recorder, server_file: Path, tmp_path: Path) -> Deployment:
    """One that is not started: the loads' address is the recorder's."""
    folder = tmp_path / "run"
    (folder / "logs").mkdir(parents=True)
    programs = Programs(ROOT)
    settings = DeploymentSettings(0.1, 10, server=read(server_file))
    made = Deployment(find_topology("single", programs.topologies), programs, settings, folder)
    made.url = made.admin_url = recorder.url
    return made


def test_swarm_with_a_worker_sends_the_payload_byte_for_byte(deployment: Deployment, recorder: Recorder) -> None:
    """The master reads the file; what its worker sends is the same, and no file has the secret."""
    settings = SwarmSettings(spawn_rate_per_s=5, users_limit=2, run_time_s=2, workers=1)
    run_swarm(deployment, settings, deployment.folder, StopRequest(), lambda: None)
    assert recorder.take() == ASKED
    require_secret_in_no_file(deployment.folder)


def test_steady_load_sends_the_payload_byte_for_byte(deployment: Deployment, recorder: Recorder) -> None:
    """Whatever its kind is called; no file has the secret."""
    with SteadyLoad(deployment, LoadPlan("more", 8.0, 0.5, 1, duration_s=1.0)) as load:
        load.wait_until_ready(StopRequest())
        load.go()
        wait_until(lambda: len(recorder.received) >= 4, DEADLINE_S)
    assert recorder.take() == ASKED
    require_secret_in_no_file(deployment.folder)


def test_poisson_load_sends_the_payload_byte_for_byte(deployment: Deployment, recorder: Recorder) -> None:
    """The generator has a client of its own, and the same request; no file has the secret."""
    run = PointRun(deployment.folder, Mock(), POINT, deployment.topology, deployment.programs)
    run._offer(deployment, {}, StopRequest(), Mock())
    assert len(recorder.received) == POINT.arrivals
    assert recorder.take() == ASKED
    require_secret_in_no_file(deployment.folder)


def test_locust_page_shows_the_server_files_name_and_no_secret(
    recorder: Recorder, server_file: Path, tmp_path: Path
) -> None:
    """By hand, with a worker: the form names the file, or another; no page, download or log has the secret."""
    port, records = free_port(), tmp_path / "run" / "records.csv"
    options = ["--processes", "1", *own_master_port(), "--records", str(records), "--loglevel", "DEBUG"]
    locust = Swarm(tmp_path / "run", "--web-port", str(port), *options, "--server", str(server_file))
    with ExitStack() as ends:
        ends.callback(locust.kill)
        page = WebPage(locust, port)
        wait_until(lambda: [w["state"] for w in page.stats()["workers"]] == ["ready"], DEADLINE_S)
        assert page.form()["extra_options"]["server"]["default_value"] == str(server_file)
        direct: Any = {"admin": "", "user_count": 2, "server": str(server_file)}
        told = page.press_start(recorder, **direct, payload=str(ROOT / "predictors/sample.json"))["message"]
        assert "names one, too: leave out one of them" in told
        assert page.press_start(recorder, **direct)["success"]
        wait_until(lambda: page.finished_requests() >= 2, DEADLINE_S)
        assert recorder.take() == ASKED
        assert {row["name"] for row in page.stats()["stats"]} == {PATH, "Aggregated"}
        pages = ("", "stats/requests", "stats/report", "stats/requests/csv", "records/csv", "first-failures/csv")
        answers = [requests.get(f"{page.url}/{each}", timeout=5) for each in pages]
        assert [each.status_code for each in answers] == [200] * len(pages)
        assert not any(SECRET in each.text for each in answers)
        assert page.press_start(recorder, **direct | {"server": ""})["success"]
        wait_until(lambda: ("GET", "/predict", None, None, False) in recorder.take(), DEADLINE_S)
    require_secret_in_no_file(tmp_path)
