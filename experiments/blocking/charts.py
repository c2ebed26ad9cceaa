"""The charts of a blocking run: refused share over offered load, or goodput of topologies, on Erlang B's curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.blocking.claims import count_slots
from experiments.blocking.figures import PointFigures
from experiments.blocking.pairs import Comparison, Pair
from experiments.blocking.summary import BlockingSummary
from experiments.page.charts import BLUE, DARK, GREEN, GREY, ORANGE, PURPLE, VERMILION, new_figure, put_legends
from experiments.page.page import Sheet, Target
from experiments.theory.erlang import erlang_b

if TYPE_CHECKING:  # not before something is drawn
    from matplotlib.axes import Axes

COLOURS = (BLUE, ORANGE, GREEN)
TOPOLOGY_COLOURS = (BLUE, VERMILION, GREEN, PURPLE)
MARKS = ("o", "s", "D")
LINES = ("-", "--", "-.")
CURVE_FROM, CURVE_TO = 0.5, 1.15
"""A curve runs from this part of its least measured load to this part of its greatest."""


def draw_blocking(summary: BlockingSummary, target: Target, sheet: Sheet) -> None:
    """Draws the points as an SVG file, the same for the same records."""
    with new_figure((sheet.width_inches, 4.6 + sheet.is_narrow), target) as figure:
        axes = figure.subplots()
        for index, slots in enumerate(dict.fromkeys(point.slots for point in summary.points)):
            _draw_slots(axes, [point for point in summary.points if point.slots == slots], index)
        _name_axes(axes, sheet, "" if summary.settings.why_no_theory else ", beside Erlang B")
        put_legends(figure, [axes], sheet, order=str)


def _draw_slots(axes: Axes, points: Sequence[PointFigures], index: int) -> None:
    """One curve and its points; invalid points are crossed out."""
    slots, colour = points[0].slots, COLOURS[index % len(COLOURS)]
    offered = [point.offered_load_erlangs for point in points]
    if points[0].erlang_b is not None:
        loads = np.linspace(CURVE_FROM * min(offered), CURVE_TO * max(offered), 200)
        curve = [100 * erlang_b(slots, float(load)) for load in loads]
        line = LINES[index % len(LINES)]
        axes.plot(loads, curve, color=colour, lw=1.5, ls=line, label=f"Erlang B, {slots} slots")
        axes.annotate(f"{slots} slots", (loads[-1], curve[-1]), (0, 5), textcoords="offset points", ha="center")
    for point in points:
        share, low, high = (100 * value for value in (point.refused_share, point.low, point.high))
        axes.errorbar(
            point.offered_load_erlangs, share, yerr=[[share - low], [high - share]], color=colour, capsize=4,
            marker=MARKS[index % len(MARKS)], ms=6, mec="black", mew=0.7, lw=1.5, ls="none",
            label=f"measured, {slots} slots",
        )  # fmt: skip
        if point.invalid:
            axes.plot(point.offered_load_erlangs, share, "x", ms=12, mew=2, color=VERMILION, label="invalid point")


def _name_axes(axes: Axes, sheet: Sheet, beside: str) -> None:
    axes.set_xlabel("offered load, erlangs")
    axes.set_ylabel("refused share, %")
    axes.set_yscale("log")
    axes.set_ylim(0.2, 50)
    axes.set_yticks((0.2, 0.5, 1, 2, 5, 10, 20, 50), ("0.2", "0.5", "1", "2", "5", "10", "20", "50"))
    axes.minorticks_off()
    between = ",\n" if sheet.is_narrow else ", "
    axes.set_title(f"Refused share of Poisson arrivals{between}with 95 % intervals{beside}")
    axes.grid(True, color="#E5E5E5")
    axes.set_axisbelow(True)


def draw_goodput(summary: BlockingSummary, target: Target, sheet: Sheet) -> None:
    """Draws good answers over offered requests, and below how many slots apart each two topologies are."""
    comparison = summary.comparison
    if comparison is None:
        return
    if not comparison.pairs:
        _draw_goodput_alone(summary.points, comparison, target, sheet)
        return
    with new_figure((sheet.width_inches, 7.2 + sheet.is_narrow), target) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _draw_served(above, summary.points, comparison, sheet)
        for index, pair in enumerate(comparison.pairs):
            _draw_pair(below, pair, summary.points, index - (len(comparison.pairs) - 1) / 2, index)
        _name_pairs(below, summary.settings.margins.slots, sheet)
        figure.align_ylabels()
        put_legends(figure, [above, below], sheet, order=_order)


def _draw_goodput_alone(points: Sequence[PointFigures], comparison: Comparison, target: Target, sheet: Sheet) -> None:
    """Without the panel of slots apart, where there are none."""
    with new_figure((sheet.width_inches, 4.6 + sheet.is_narrow), target) as figure:
        axes = figure.subplots()
        _draw_served(axes, points, comparison, sheet)
        axes.set_xlabel("requests offered per second")
        axes.set_xlim(left=0)
        put_legends(figure, [axes], sheet, order=_order)


def _draw_served(axes: Axes, points: Sequence[PointFigures], comparison: Comparison, sheet: Sheet) -> None:
    """What is served of what is offered, with theory's curves where there are some."""
    _draw_curves(axes, points)
    _draw_measured(axes, comparison)
    _cross_out(axes, points, comparison)
    _name_goodput(axes, max(each.theory_per_s or each.goodput_per_s for each in comparison.goodput), sheet)


def _order(label: str) -> tuple[bool, bool, str]:
    """Measured first, then theory."""
    return label.startswith("Erlang"), label.startswith("offered"), label


def _draw_curves(axes: Axes, points: Sequence[PointFigures]) -> None:
    """What a loss system of so many slots serves, at the mean holding time of its points; and all that is offered."""
    most_per_s = 1.05 * max(point.arrival_rate_per_s for point in points)
    rates_per_s = np.linspace(0.01, most_per_s, 200)
    axes.plot(rates_per_s, rates_per_s, color=GREY, lw=1.2, ls=":", label="offered")
    for index, slots in enumerate(dict.fromkeys(p.slots for p in points if p.erlang_b is not None)):
        held_s = float(np.mean([point.holding_time_s for point in points if point.slots == slots]))
        good = [rate * (1 - erlang_b(slots, rate * held_s)) for rate in map(float, rates_per_s)]
        axes.plot(rates_per_s, good, color=DARK, lw=1.5, ls=LINES[index % len(LINES)], label=f"Erlang B, {slots} slots")


def _draw_measured(axes: Axes, comparison: Comparison) -> None:
    """Points of different topologies lie on each other where these serve alike: each next one is smaller and filled."""
    names = list(dict.fromkeys(each.topology for each in comparison.goodput))
    for index, name in enumerate(names):
        own = [each for each in comparison.goodput if each.topology == name]
        size = 13 - 9 * index / max(1, len(names) - 1)
        errors = np.array([(e.goodput_per_s - e.low_per_s, e.high_per_s - e.goodput_per_s) for e in own]).T
        axes.errorbar(
            [each.arrival_rate_per_s for each in own], [each.goodput_per_s for each in own], yerr=errors,
            color=TOPOLOGY_COLOURS[index % len(TOPOLOGY_COLOURS)], marker=MARKS[index % len(MARKS)], ms=size, ls="none",
            mfc="none" if index < len(names) - 1 else None, mew=2 if index < len(names) - 1 else 0, lw=1.5,
            capsize=size / 2, label=f"measured, {name}",
        )  # fmt: skip


def _cross_out(axes: Axes, points: Sequence[PointFigures], comparison: Comparison) -> None:
    for point, good in zip(points, comparison.goodput, strict=True):
        if point.invalid:
            x, y = good.arrival_rate_per_s, good.goodput_per_s
            axes.plot(x, y, "x", ms=12, mew=2, color=VERMILION, label="invalid point")


def _name_goodput(axes: Axes, most_per_s: float, sheet: Sheet) -> None:
    axes.set_ylabel("good answers per second")
    axes.set_ylim(0, 1.25 * most_per_s)
    between = "\n" if sheet.is_narrow else " "
    axes.set_title(f"What each topology serves of{between}the same arrivals, with 95 % intervals")
    axes.grid(True, color="#E5E5E5")
    axes.set_axisbelow(True)


def _draw_pair(axes: Axes, pair: Pair, points: Sequence[PointFigures], place: float, index: int) -> None:
    """Slots apart at each load, pairs a little beside each other."""
    if not pair.loads:
        return
    rates = {point.aimed_blocking: point.arrival_rate_per_s for point in points if point.topology == pair.topology}
    step = 0.015 * max(rates.values())
    axes.errorbar(
        [rates[load.aimed_blockings[0]] + place * step for load in pair.loads], [load.slots for load in pair.loads],
        yerr=np.array([(load.slots - load.low, load.high - load.slots) for load in pair.loads]).T,
        color=TOPOLOGY_COLOURS[index % len(TOPOLOGY_COLOURS)], marker=MARKS[index % len(MARKS)], ms=6, mec="black",
        mew=0.7, lw=1.5, ls="none", capsize=4, label=f"{pair.topology} beside {pair.against}",
    )  # fmt: skip


def _name_pairs(axes: Axes, margin_slots: float, sheet: Sheet) -> None:
    axes.axhspan(-margin_slots, margin_slots, color="#EEEEEE", zorder=0, label=f"within {count_slots(margin_slots)}")
    axes.axhline(0, color="black", lw=0.8)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -1.5 * margin_slots), max(high, 1.5 * margin_slots))
    axes.set_ylabel("slots apart")
    axes.set_xlabel("requests offered per second")
    axes.set_xlim(left=0)
    between = "\n" if sheet.is_narrow else " "
    axes.set_title(f"How many slots more the first acts{between}as if it had: above 0 it serves more")
    axes.yaxis.grid(True, color="#E5E5E5")
    axes.set_axisbelow(True)
