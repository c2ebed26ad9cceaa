"""Each real model server, run by the experiments; where its records go."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.experiment import left_behind
from tests.harness.project import ROOT
from tests.harness.waiting import wait_until
from tools.servers import LINKS, names

VARIABLE = "SERVER_RUNS"
"""Names the folder that keeps the run folders, from which tools.servers makes the documentation's tables."""

ENDED_WITHIN_S = 5.0
"""What has been killed may take a moment to be gone."""


@pytest.fixture(params=names())
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of each server in turn; one that is not installed is skipped. None of its processes may stay."""
    name: str = request.param
    if not (LINKS / name).is_dir():
        pytest.skip(f"{name} is not installed: python -m tools.servers install {name}")
    yield name
    wait_until(lambda: not left_behind(ROOT / "servers" / name), ENDED_WITHIN_S)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Where the run folders go."""
    folder = Path(os.environ.get(VARIABLE) or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
