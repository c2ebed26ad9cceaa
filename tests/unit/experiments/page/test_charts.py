"""What charts share: ticks, and patterns that tell predictors apart where there is little room."""

import pytest

from experiments.page.charts import PREDICTOR_COLOURS, PREDICTOR_PATTERNS, whole_steps


@pytest.mark.parametrize(("top", "ticks"), [(1, [0, 1]), (17, [0, 5, 10, 15, 20]), (32, [0, 10, 20, 30, 40])])
def test_ticks_of_a_count_are_round_whole_numbers(top: float, ticks: list[float]) -> None:
    """No 2.5 requests and no 17.5 s; steps of 1, 2, 5 or 10, as few as asked for."""
    assert list(whole_steps(6).tick_values(0, top)) == ticks


def test_every_predictor_of_a_stack_has_a_pattern_of_its_own() -> None:
    """As many as there are colours, so that neither repeats before the other."""
    assert len(set(PREDICTOR_PATTERNS)) == len(PREDICTOR_PATTERNS) == len(PREDICTOR_COLOURS)
