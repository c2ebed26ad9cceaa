"""Fixtures: a stage on which a test starts its processes, and which leaves none of them behind."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.harness.browser import open_browser
from tests.harness.endpoint import Endpoint, open_light_predictor, open_router
from tests.harness.experiment import ExperimentProcess
from tests.harness.server_files import SUPERVISOR
from tests.harness.stage import Stage

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it, and its children too


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage for one test."""
    with Stage(tmp_path) as stage:
        yield stage


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests of a module that leave it as they found it."""
    with Stage(tmp_path_factory.mktemp("shared")) as stage:
        yield stage


@pytest.fixture(scope="module")
def endpoints(shared_stage: Stage) -> dict[str, Endpoint]:
    """A router and a predictor, for all tests of a module."""
    return {"router": open_router(shared_stage), "predictor": open_light_predictor(shared_stage)}


@pytest.fixture(params=["router", "predictor"])
def endpoint(endpoints: dict[str, Endpoint], request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """Each of the two in turn, which must be sound after each test."""
    with endpoints[request.param].watched():
        yield endpoints[request.param]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for a module's tests; each opens a page of its own."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ExperimentProcess]]:
    """Starts `python -m experiments` with these arguments; whatever still runs is stopped with the test."""
    started: list[ExperimentProcess] = []

    def start_one(*arguments: str, **options: Any) -> ExperimentProcess:
        started.append(ExperimentProcess(tmp_path, *arguments, **options))
        return started[-1]

    yield start_one
    for run in started:
        if run.running():
            run.stop()


@pytest.fixture
def supervisor() -> Iterator[Path]:
    """A process manager in the background; its folder."""
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket is short
        subprocess.run([sys.executable, SUPERVISOR, "serve", folder], check=True)
        yield Path(folder)
        subprocess.run([sys.executable, SUPERVISOR, folder, "end"], check=True)
