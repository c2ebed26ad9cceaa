"""Fixtures: a stage on which a test starts its processes, and which leaves none of them behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import Stage


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
