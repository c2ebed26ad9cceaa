"""When the loss model applies to a server of a user's own."""

import pytest

from experiments.results.records import PreflightFigures
from experiments.theory.loss_model import time_text, why_no_loss_model
from tests.harness.server_records import QUEUEING, SERVER, WHY


def test_slots_that_do_not_hinder_each_other_are_a_loss_system() -> None:
    """Up to 1.5 times the latency alone, all answers good."""
    assert why_no_loss_model(0.2, 10, 0.3, 50, 50) == ""


def test_server_that_queues_is_none() -> None:
    """More than that: requests wait for each other."""
    assert why_no_loss_model(0.2, 10, 2.1, 50, 50) == WHY
    assert why_no_loss_model(0.2, 10, 0.301, 50, 50).startswith("10 at once take 0.3 s, one 0.2 s: it queues")


@pytest.mark.parametrize(("together_s", "good"), [(0.2, 49), (None, 0)])
def test_server_that_refuses_within_its_capacity_is_none(together_s: float | None, good: int) -> None:
    """It has fewer slots than its capacity says."""
    why = why_no_loss_model(0.2, 10, together_s, 50, good)
    assert why.startswith(f"with 10 at once {50 - good} of 50 predictions got no good answer: it takes fewer than")


@pytest.mark.parametrize(
    ("figures", "held_s"), [(SERVER.preflight, 0.2), (QUEUEING.preflight, 2.1)], ids=["side by side", "queueing"]
)
def test_loads_go_by_how_long_slots_are_held_together(figures: PreflightFigures, held_s: float) -> None:
    """Where requests queue, a slot is held for longer than the service time: else calm would be an overload."""
    assert figures.holding_time_s == held_s


@pytest.mark.parametrize(
    ("seconds", "digits", "text"),
    [(0.00021, 2, "0.21 ms"), (0.0996, 2, "100 ms"), (0.203, 2, "0.2 s"), (0.203, 3, "0.203 s"), (99.7, 2, "100 s")],
)
def test_times_are_written_in_so_many_digits(seconds: float, digits: int, text: str) -> None:
    """Below 0.1 s in milliseconds."""
    assert time_text(seconds, digits) == text
