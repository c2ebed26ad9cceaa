"""Fixtures: a stage on which a test starts its processes, and which leaves none of them behind."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.harness.browser import open_browser
from tests.harness.endpoint import Door, open_doors
from tests.harness.experiment import DEADLINE_S, ROOT, Start
from tests.harness.processes import Stage

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
def doors(shared_stage: Stage) -> dict[str, Door]:
    """Both HTTP front doors, for all tests of a module."""
    return open_doors(shared_stage)


@pytest.fixture(params=["router", "predictor"])
def door(doors: dict[str, Door], request: pytest.FixtureRequest) -> Iterator[Door]:
    """Each front door in turn, which must be sound after each test."""
    with doors[request.param].watched():
        yield doors[request.param]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for a module's tests; each opens a page of its own."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `python -m experiments` with these arguments; whatever still runs is stopped with the test."""
    started: list[subprocess.Popen[str]] = []

    def start_one(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "experiments", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)
