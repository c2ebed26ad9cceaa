"""The last five minutes: what is kept, for how long, and as which times."""

import time

import pytest

from routing.admin.history import INTERVAL_S, WINDOW_S, History
from tests.unit.routing.admin.stub_engine import StubEngine


def test_history_keeps_counters_with_their_time_and_forgets_the_oldest() -> None:
    """As many samples as five minutes have are kept; each holds the counters as they stood."""
    engine = StubEngine()
    history = History(lambda: engine)
    start_s = time.monotonic()
    for number in range(int(WINDOW_S / INTERVAL_S) + 10):
        engine.counters.answers["one", "200"] = number
        engine.counters.refused["down"] = 2 * number
        history.sample(start_s + number * INTERVAL_S)
    samples = history.samples()
    assert len(samples) == WINDOW_S / INTERVAL_S + 1
    assert samples[-1][1:] == [309, 618]
    assert samples[-1][0] - samples[0][0] == pytest.approx(WINDOW_S, abs=0.01)
    assert samples[0][0] == pytest.approx(time.time() + 9, abs=5)


def test_history_before_the_first_second_is_empty() -> None:
    """Nothing is made up."""
    assert History(StubEngine).samples() == []
