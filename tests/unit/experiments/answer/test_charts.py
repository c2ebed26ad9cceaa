"""The answer's charts: which sizes and rates they show, where a bar is cut, what is written in them."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from experiments.answer.answer import Swing
from experiments.answer.charts import axis_end, curves, draw_cost, draw_matters, draw_refused, mattering
from experiments.answer.inputs import Input, given
from experiments.page.page import NARROW, WIDE, Sheet, Target
from experiments.theory.erlang import erlang_b
from tests.unit.experiments.answer.hand_written import ANSWER, SWINGS, YEARS, size, yearly


def texts(draw: Callable[[Target, Sheet], None], sheet: Sheet = WIDE) -> set[str]:
    """What is written in the chart: the SVG file names the text of each of its drawings of letters."""
    target = io.BytesIO()
    draw(target, sheet)
    return set(re.findall(r"<!-- (.+?) -->", target.getvalue().decode()))


def test_curves_show_the_sizes_about_the_recommended_one_by_the_formula() -> None:
    """A few below it and one above, each with all up and with one down; from next to nothing to beyond the target."""
    drawn = curves(ANSWER)
    assert drawn.sizes == [1, 2, 3, 4]
    assert list(drawn.shares) == [1, 2, 3, 4]
    for up, shares in drawn.shares.items():
        assert shares == pytest.approx([erlang_b(10 * up, rate) for rate in drawn.rates_per_s])
    assert drawn.least == pytest.approx(0.00001)
    assert drawn.rates_per_s[0] < 8.6 < drawn.rates_per_s[-1]
    assert drawn.shares[4][-1] > 0.001


def test_curves_of_a_large_deployment_are_drawn_about_its_rate() -> None:
    """Five sizes at most, and the rates where they differ: below, none refuses anything."""
    recommended = size("active", "27active", 27, 27, 1e-7, 6.7e-6, True, True)
    inputs = ANSWER.inputs | {"rate": given(200, "requests/s")}
    drawn = curves(replace(ANSWER, recommended="27active", sizes=[recommended], inputs=inputs))
    assert drawn.sizes == [24, 25, 26, 27, 28]
    assert 100 < drawn.rates_per_s[0] < 200 < drawn.rates_per_s[-1] < 300


def test_refused_chart_names_sizes_target_and_rate_and_what_the_recommended_refuses() -> None:
    """All that one has to read off it."""
    shown = texts(partial(draw_refused, ANSWER, curves(ANSWER)))
    assert shown >= {"1 predictor", "2 predictors", "3 predictors, recommended", "4 predictors", "all up", "one down"}
    assert shown >= {"target: 0.1 %", "rate: 8.6/s", "3 all up: &lt;0.0001 %", "3 one down: 0.037 %"}


def test_axis_of_costs_is_set_by_the_recommended_ones_like() -> None:
    """A deployment thousands of times dearer does not squash the others: its bar is cut, its figure written."""
    assert axis_end(ANSWER) == pytest.approx(1.05 * YEARS[-1].total_cost.p95)
    shown = texts(partial(draw_cost, ANSWER))
    assert shown >= {"single", "3active", "$430 M", "$180 M to 700 M", "$61,000", "$27,000 to 210,000"}
    assert shown >= {"servers", "downtime", "5 to 95 % of years"}


def test_matters_chart_names_both_ends_and_what_they_change_the_answer_to() -> None:
    """Inputs that decide nothing are no rows of it."""
    assert mattering(ANSWER) == SWINGS[:2]
    shown = texts(partial(draw_matters, ANSWER))
    assert shown >= {"common-cause failures", "1 %", "10 %", "predictor's MTBF", "→ 4active", "10 d", "90 d"}
    assert "cold start" not in shown


def test_what_costs_nothing_has_no_rows_and_no_cut_bars() -> None:
    """Where neither downtime nor servers have a price, the chart of costs is empty and no input matters."""
    none = yearly(0, 0, 0)
    free = [replace(row, downtime_cost=none, server_cost=none, total_cost=none) for row in YEARS]
    swings = [Swing("server_hour", 0, 0, 0, 0, [], turns_cold=False)]
    answer = replace(ANSWER, per_year=free, tornado=swings, decides_nothing=[], mean_cost=0)
    assert mattering(answer) == []
    assert "$0" in texts(partial(draw_cost, answer))


CASES = {
    "single": {"rate": given(0.1, "requests/s")},
    "strict target": {"target": given(99.99999, "%")},
    "loose target": {"target": given(50, "%")},
    "queues": {"saturation": given(6, "answers/s")},
}


@pytest.mark.parametrize("given_inputs", CASES.values(), ids=CASES)
def test_refused_chart_of_any_inputs_is_drawn(given_inputs: dict[str, Input]) -> None:
    """Without a warning, which the tests take for an error."""
    answer = replace(ANSWER, inputs=ANSWER.inputs | given_inputs)
    assert "requests offered per second" in texts(partial(draw_refused, answer, curves(answer)), NARROW)


def test_charts_of_a_single_predictor_have_no_state_with_one_down() -> None:
    """Nothing is up then, and no curve is drawn."""
    answer = replace(ANSWER, recommended="single")
    shown = texts(partial(draw_refused, answer, curves(answer)))
    assert "1 all up: 15 %" in shown
    assert not any(text.startswith("1 one down") for text in shown)
