"""For all tests: a check that fails in the harness shows its values, as one in a test does; shorter reports."""

from collections.abc import Iterator

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.harness")

# An example's time is the machine's: on a busy one it says nothing of the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture
def no_charts() -> Iterator[None]:
    """Reports draw nothing: for tests of what stands beside the charts."""
    from tests.harness.charts import empty_charts  # not before the harness is registered

    with empty_charts():
        yield


@pytest.fixture
def few_years(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates a hundred years for the answer, as light experiments do: for tests that do not hang on how many."""
    from tests.harness.light import FEW_YEARS

    monkeypatch.setattr("experiments.answer.costs.YEARS", FEW_YEARS)


@pytest.fixture
def no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failover's summaries do not say which deployment to take, which is most of a short one's time."""
    monkeypatch.setattr("experiments.failover.report.choose", lambda *_: None)
