"""For all tests: a check that fails in the harness shows its values, as one in a test does; shorter reports."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.harness")


@pytest.fixture
def no_charts() -> Iterator[None]:
    """Reports draw nothing: for tests of what stands beside the charts."""
    from tests.harness.charts import empty_charts  # not before the harness is registered

    with empty_charts():
        yield


@pytest.fixture
def no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failover's summaries do not say which deployment to take, which is most of a short one's time."""
    monkeypatch.setattr("experiments.failover.report.choose", lambda *_: None)
