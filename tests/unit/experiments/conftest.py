"""Fixtures for the experiments' tests."""

from collections.abc import Iterator

import pytest

from tests.harness.charts import empty_charts


@pytest.fixture
def no_charts() -> Iterator[None]:
    """Reports draw nothing: for tests of what stands beside the charts."""
    with empty_charts():
        yield
