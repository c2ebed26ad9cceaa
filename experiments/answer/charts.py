"""The answer's charts: refused share over the rate for each size, a year's cost of each deployment, what matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from experiments.answer.answer import Answer, SizeRow, Swing
from experiments.answer.costs import YearRow
from experiments.answer.inputs import Inputs
from experiments.answer.tables import yearly_cell
from experiments.answer.text import LABELS, dollars_text, share_text, value_text
from experiments.page.charts import BLUE, DARK, GREEN, ORANGE, PURPLE, SKY, VERMILION, new_figure, put_legends
from experiments.page.page import NARROW, Sheet, Target
from experiments.page.text import join_words
from experiments.theory.sizing import Demand

if TYPE_CHECKING:  # not before something is drawn
    from matplotlib.axes import Axes

REFUSED, COST, MATTERS = "choose-refused.svg", "choose-cost.svg", "choose-matters.svg"

COLOURS = (SKY, ORANGE, PURPLE, BLUE, GREEN)
MOST_SIZES = 5
FEWEST_POINTS, MOST_POINTS, MOST_STEPS = 15, 60, 1_000_000
"""A curve has so many points; fewer where their slots are more than so many together."""

BELOW_TARGET = 0.01
"""The refused share is drawn from this part of what the target allows."""

MOST_TIMES_DEARER = 5
"""Deployments that cost more than so many times the recommended one do not set the axis: their bars are cut."""

LEGEND = ("all up", "one down", "target", "rate", "servers", "downtime", "5 to 95 %", "low end", "high end", "mean")
"""The order of what is no size."""

DASHED: Any = (0, (2, 2))
GRID = "#E5E5E5"


@dataclass(frozen=True)
class Curves:
    """The refused share over the rate, for each number of predictors up."""

    rates_per_s: list[float]
    """Where it is computed, rising."""
    shares: dict[int, list[float]]
    """Predictors up -> the share at each rate."""
    sizes: list[int]
    """The sizes shown, by the predictors that run: as many up, or one less."""
    least: float
    """The least share that is shown."""


def curves(answer: Answer) -> Curves:
    """Computes the curves of the sizes about the recommended one: a few below it, and one above."""
    inputs = Inputs(**answer.inputs)
    demand, least = inputs.demand, inputs.most_refused * BELOW_TARGET
    most = recommended_size(answer).running + 1
    sizes = list(range(max(1, most + 1 - MOST_SIZES), most + 1))
    right = max(1.05 * demand.rate_per_s, _rate_at(demand, most, min(0.5, 2 * inputs.most_refused)))
    left = 0.9 * _rate_at(demand, sizes[0], least)
    left = 0.0 if left < right / 3 else min(left, 0.9 * demand.rate_per_s)
    points = max(FEWEST_POINTS, min(MOST_POINTS, MOST_STEPS // (most * demand.capacity)))
    rates = [left + (right - left) * max(step, 0.1) / points for step in range(points + 1)]
    ups = [up for up in range(sizes[0] - 1, most + 1) if up]
    loads = [replace(demand, rate_per_s=rate) for rate in rates]
    by_rate = [[load.refused_share(up) for up in ups] for load in loads]  # one recursion over the slots for each rate
    return Curves(rates, dict(zip(ups, map(list, zip(*by_rate, strict=True)), strict=True)), sizes, least)


def _rate_at(demand: Demand, predictors: int, share: float) -> float:
    """The rate at which so many predictors refuse this share, within a thousandth."""
    low, high = 0.0, demand.rate_per_s
    while replace(demand, rate_per_s=high).refused_share(predictors) < share:
        low, high = high, 2 * high
    while high - low > high / 1_000:
        middle = (low + high) / 2
        refused = replace(demand, rate_per_s=middle).refused_share(predictors)
        low, high = (middle, high) if refused < share else (low, middle)
    return high


def recommended_size(answer: Answer) -> SizeRow:
    """The recommended deployment's size."""
    return next(size for size in answer.sizes if size.deployment == answer.recommended)


def draw_refused(answer: Answer, drawn: Curves, target: Target, sheet: Sheet) -> None:
    """Draws the refused share of each size over the rate, on a logarithmic axis, with target and rate as lines."""
    with new_figure((sheet.width_inches, 4.4 + sheet.is_narrow), target) as figure:
        axes = figure.subplots()
        for running, colour in zip(drawn.sizes, COLOURS, strict=False):
            is_recommended = running == recommended_size(answer).running
            _draw_size(axes, drawn, running, colour, _size_name(running, is_recommended=is_recommended))
        _draw_lines(axes, answer)
        _mark_recommended(axes, answer, drawn)
        _name_refused(axes, drawn, sheet)
        put_legends(figure, [axes], sheet, order=_order)


def _size_name(running: int, *, is_recommended: bool) -> str:
    return f"{running} predictor{'s' * (running > 1)}{', recommended' * is_recommended}"


def _draw_size(axes: Axes, drawn: Curves, running: int, colour: str, name: str) -> None:
    """Solid with all up; dashed with one down, on the solid curve of as many."""
    axes.plot(drawn.rates_per_s, _percent(drawn.shares[running]), color=colour, lw=3, label=name)
    if running - 1 in drawn.shares:
        axes.plot(drawn.rates_per_s, _percent(drawn.shares[running - 1]), color=colour, lw=3, ls=DASHED)


def _order(label: str) -> tuple[int, int]:
    """Sizes by their number, then what the lines are; what bars are before their ranges."""
    number, _, _ = label.partition(" predictor")
    return (0, int(number)) if number.isdigit() else (1, next(i for i, word in enumerate(LEGEND) if word in label))


def _percent(shares: Sequence[float]) -> list[float]:
    return [100 * share for share in shares]


def _draw_lines(axes: Axes, answer: Answer) -> None:
    rate, refused = answer.inputs["rate"].value, 100 - answer.inputs["target"].value
    axes.plot([], [], color=DARK, lw=3, label="all up")
    axes.plot([], [], color=DARK, lw=3, ls=DASHED, label="one down")
    axes.axhline(refused, color=VERMILION, lw=1.5, label=f"target: {refused:.6g} %")
    axes.axvline(rate, color=DARK, lw=1.2, ls=":", label=f"rate: {rate:.3g}/s")


def _mark_recommended(axes: Axes, answer: Answer, drawn: Curves) -> None:
    """What the recommended size refuses at the rate; what lies below the axes is marked at their lower end."""
    size, rate = recommended_size(answer), answer.inputs["rate"].value
    side = 1 if rate < (drawn.rates_per_s[0] + drawn.rates_per_s[-1]) / 2 else -1
    states = [(size.refused_share, "all up")]
    if size.running > 1:
        states.append((size.refused_share_one_down, "one down"))
    below = 0
    for share, state in states:
        is_below = share < drawn.least
        place = (rate, 100 * max(share, drawn.least))
        axes.plot(*place, "v" if is_below else "o", ms=8, mfc="white", mec="black", mew=1.5, clip_on=False, zorder=5)
        axes.annotate(
            f"{size.running} {state}: {share_text(share)}", place, (9 * side, 4 + 14 * below if is_below else -4),
            textcoords="offset points", ha="left" if side > 0 else "right", fontsize=9, zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8},
        )  # fmt: skip
        below += is_below


def _name_refused(axes: Axes, drawn: Curves, sheet: Sheet) -> None:
    axes.set_xlabel("requests offered per second")
    axes.set_ylabel("refused share, %")
    axes.set_yscale("log")
    decades = range(math.floor(math.log10(100 * drawn.least)), 3)
    axes.set_yticks([10.0**power for power in decades], [f"{10.0**power:.10g}" for power in decades])
    axes.minorticks_off()
    axes.set_ylim(100 * drawn.least, 100)
    axes.set_xlim(drawn.rates_per_s[0] if drawn.rates_per_s[0] > 1 else 0, drawn.rates_per_s[-1])
    axes.set_title(f"Refused share of each size,{_break(sheet)}with all predictors up and with one down")
    _grid(axes, "both")


def _break(sheet: Sheet) -> str:
    return "\n" if sheet.is_narrow else " "


def _grid(axes: Axes, which: str) -> None:
    axes.grid(True, axis=which, color=GRID)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def draw_cost(answer: Answer, target: Target, sheet: Sheet) -> None:
    """Draws a year's cost of each deployment as a bar, with its range; bars that would squash the others are cut."""
    rows = answer.per_year
    with new_figure((sheet.width_inches, 1.5 + 0.5 * len(rows) + 0.5 * sheet.is_narrow), target) as figure:
        axes = figure.subplots()
        longest = axis_end(answer)
        for place, row in enumerate(rows):
            _draw_year(axes, place, row, longest, is_recommended=row.deployment == answer.recommended)
            _write_total(axes, place, row, sheet)
        axes.set_xlim(0, longest)
        _name_rows(axes, [row.deployment.replace(", ", ",\n") for row in rows])
        bold = [row.deployment for row in rows].index(answer.recommended)
        axes.get_yticklabels()[bold].set_fontweight("bold")
        axes.set_title(f"Cost of a year: servers and downtime,{_break(sheet)}with the range of nine years in ten")
        _name_costs(axes, sheet)
        put_legends(figure, [axes], NARROW, order=_order)


def axis_end(answer: Answer) -> float:
    """How far the axis of costs reaches: to the dearest range of those that are of the recommended one's like."""
    own = next(row.total_cost for row in answer.per_year if row.deployment == answer.recommended)
    alike = [row.total_cost for row in answer.per_year if row.total_cost.mean <= MOST_TIMES_DEARER * own.mean]
    return 1.05 * max(max(cost.p95, cost.mean) for cost in alike) or 1.0


def _draw_year(axes: Axes, place: int, row: YearRow, longest: float, *, is_recommended: bool) -> None:
    servers, total = row.server_cost.mean, row.total_cost
    if is_recommended:
        axes.axhspan(place - 0.5, place + 0.5, color="#EEEEEE", zorder=0)
    axes.barh(place, min(servers, longest), 0.6, color=BLUE, label="servers")
    downtime = min(total.mean, longest) - min(servers, longest)
    axes.barh(place, downtime, 0.6, left=servers, color=ORANGE, hatch="////", edgecolor="white", lw=0, label="downtime")
    if total.mean > longest:
        _cut(axes, place, longest)
        return
    error = [[max(0.0, total.mean - total.p5)], [max(0.0, total.p95 - total.mean)]]
    axes.errorbar(
        total.mean, place, xerr=error, color="black", capsize=4, lw=1.5, ls="none", label="5 to 95 % of years"
    )


def _cut(axes: Axes, place: int, longest: float) -> None:
    """Two slanted gaps in a bar: it goes on far beyond the axis."""
    for start in (0.9, 0.94):
        corners = ((start, 0.4), (start + 0.015, 0.4), (start + 0.03, -0.4), (start + 0.015, -0.4))
        axes.fill([x * longest for x, _ in corners], [place + y for _, y in corners], color="white", zorder=3)


def _write_total(axes: Axes, place: int, row: YearRow, sheet: Sheet) -> None:
    """The figure beside the axes, where those of the cut bars are too."""
    text = yearly_cell(row.total_cost)
    axes.text(
        1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8 if sheet.is_narrow else 9
    )


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """The first row on top."""
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def _name_costs(axes: Axes, sheet: Sheet) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=3 if sheet.is_narrow else 6, steps=(1, 2, 5, 10)))
    axes.xaxis.set_major_formatter(lambda value, _: dollars_text(value) if value > 0 else "" if value else "0")
    axes.set_xlabel("cost of a year")
    _grid(axes, "x")


def draw_matters(answer: Answer, target: Target, sheet: Sheet) -> None:
    """Draws how far a year's cost swings over the range of each input that decides something, most first."""
    rows = mattering(answer)
    with new_figure((sheet.width_inches, 1.6 + 0.5 * len(rows) + 0.4 * sheet.is_narrow), target) as figure:
        axes = figure.subplots()
        for place, swing in enumerate(rows):
            _draw_swing(axes, place, swing, answer)
        axes.axvline(answer.mean_cost, color="black", lw=1, label=f"mean: {dollars_text(answer.mean_cost)}")
        _name_rows(axes, [_swing_name(swing) for swing in rows])
        low, high = axes.get_xlim()
        room = (0.5 if sheet.is_narrow else 0.18) * (high - low)
        axes.set_xlim(low - room, high + room)
        axes.set_title(f"Cost of a year at both ends{_break(sheet)}of an input's range")
        _name_costs(axes, sheet)
        put_legends(figure, [axes], NARROW, order=_order)


def mattering(answer: Answer) -> list[Swing]:
    """The inputs whose range decides something."""
    return [each for each in answer.tornado if each.width > 0 and each.input not in answer.decides_nothing]


def _swing_name(swing: Swing) -> str:
    """The input, and what its range changes the answer to."""
    changes = f"\n→ {join_words(swing.changes_answer_to)}" if swing.changes_answer_to else ""
    return f"{LABELS[swing.input]}{changes}"


def _draw_swing(axes: Axes, place: int, swing: Swing, answer: Answer) -> None:
    """A bar from the cost at the low end to that at the high end, each with the input's value there."""
    unit, mean = answer.inputs[swing.input].unit, answer.mean_cost
    ends = [
        (swing.total_cost_low, value_text(swing.input, unit, swing.low), SKY, "at the low end"),
        (swing.total_cost_high, value_text(swing.input, unit, swing.high), BLUE, "at the high end"),
    ]
    for cost, _, colour, label in sorted(ends, key=lambda end: -abs(end[0] - mean)):
        axes.barh(place, cost - mean, 0.6, left=mean, color=colour, label=label)
    cheap, dear = sorted(ends)
    for (cost, text, _, _), side in ((cheap, -1), (dear, 1)):
        axes.annotate(
            text, (side * max(side * cost, side * mean), place), (4 * side, 0), textcoords="offset points",
            ha="right" if side < 0 else "left", va="center", fontsize=9,
        )  # fmt: skip
