"""What a preflight says about the answer's inputs, by newer records and by older ones."""

from dataclasses import replace

import pytest

from experiments.answer.of_server import saturation, service_time
from tests.harness.server_records import QUEUEING

OLDER = QUEUEING.preflight
NEWER = replace(OLDER, mean_s=0.26, answers_per_s=4.4)


def test_service_time_is_the_mean_and_of_older_records_the_median() -> None:
    """And says which."""
    found = service_time(NEWER, "measured"), service_time(OLDER, "measured")
    assert [(each.value, each.source) for each in found] == [
        (0.26, "measured: the mean of 15 predictions, one at a time"),
        (0.2, "measured: the median of 15 predictions, one at a time"),
    ]


def test_saturation_is_what_was_counted_and_of_older_records_by_the_latency() -> None:
    """10 at once took 2.1 s; without an answer there is none."""
    counted, by_latency = saturation(NEWER, "measured"), saturation(OLDER, "measured")
    assert counted is not None
    assert by_latency is not None
    assert (counted.value, counted.source) == (4.4, "measured: counted with 10 at once")
    assert by_latency.value == pytest.approx(10 / 2.1, abs=1e-4)
    assert by_latency.source == "measured: 10 at once, answered in 2.1 s"
    assert saturation(replace(OLDER, latency_at_once_s=None), "measured") is None
