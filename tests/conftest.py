"""For all tests: a check that fails in the harness shows its values, as one in a test does; reports without charts."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.harness")


@pytest.fixture
def no_charts() -> Iterator[None]:
    """Reports draw nothing: for tests of what stands beside the charts."""
    from tests.harness.charts import empty_charts  # not before the harness is registered

    with empty_charts():
        yield
