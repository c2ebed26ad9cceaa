"""The chart of a blocking run: refused share over offered load, measured points on Erlang B's curves."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from experiments.blocking.figures import BlockingSummary, PointFigures
from experiments.page.charts import BLUE, GREEN, ORANGE, VERMILION, new_figure, put_legends
from experiments.page.page import Sheet, Target
from experiments.theory.erlang import erlang_b

COLOURS = (BLUE, ORANGE, GREEN)
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
        _name_axes(axes, sheet)
        put_legends(figure, [axes], sheet, order=str)


def _draw_slots(axes: Axes, points: Sequence[PointFigures], index: int) -> None:
    """One curve and its points; invalid points are crossed out."""
    slots, colour = points[0].slots, COLOURS[index % len(COLOURS)]
    offered = [point.offered_load_erlangs for point in points]
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


def _name_axes(axes: Axes, sheet: Sheet) -> None:
    axes.set_xlabel("offered load, erlangs")
    axes.set_ylabel("refused share, %")
    axes.set_yscale("log")
    axes.set_ylim(0.2, 50)
    axes.set_yticks((0.2, 0.5, 1, 2, 5, 10, 20, 50), ("0.2", "0.5", "1", "2", "5", "10", "20", "50"))
    axes.minorticks_off()
    between = ",\n" if sheet.is_narrow else ", "
    axes.set_title(f"Refused share of Poisson arrivals{between}with 95 % intervals, beside Erlang B")
    axes.grid(True, color="#E5E5E5")
    axes.set_axisbelow(True)
