"""The scorecard as an SVG file: one panel per metric. The course of one fault is in timeline.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from experiments.failover.metrics import METRICS
from experiments.failover.pairs import TIME_RESOLUTION_S
from experiments.failover.summary import FailoverSummary
from experiments.failover.window_metrics import SECONDS, Form
from experiments.page.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, new_figure
from experiments.page.page import Sheet, Target
from experiments.page.text import NONE
from experiments.results.statistics import RunStats

if TYPE_CHECKING:  # not before something is drawn
    from matplotlib.axes import Axes

SCORECARD = "scorecard.svg"
COLUMNS, NARROW_COLUMNS = 4, 2
COLUMN_INCHES, ROW_INCHES = 2.25, 2.9
MOST_SLANTED, LONGEST_SLANTED, UPRIGHT_INCHES = 5, 12, 0.9
"""Up to so many names, so long, fit below a panel slanted; what others, upright, take in height."""

STYLES = (
    (ORANGE, "//"), (BLUE, ""), (GREEN, ".."), (PURPLE, "\\\\"), (SKY, "xx"), (VERMILION, "--"), (GREY, "||")
)  # fmt: skip
"""Colour and pattern of each topology; its name stands below its bar."""

PANELS = tuple(metric for metric in METRICS if metric.panel)


def draw_scorecard(summary: FailoverSummary, target: Target, sheet: Sheet) -> None:
    """Draws the post's chart of metrics, with measured figures: one panel per metric, one bar per topology."""
    panels = [metric for metric in PANELS if any(each.figures[metric.name] for each in summary.topologies)]
    columns = NARROW_COLUMNS if sheet.is_narrow else COLUMNS
    width_inches, row_inches = COLUMN_INCHES * columns, ROW_INCHES
    names = bar_names(summary)
    if stand_upright(names):  # fewer and wider panels, and room for names that stand upright
        columns, row_inches = columns - 1, ROW_INCHES + UPRIGHT_INCHES
    rows = -(-len(panels) // columns)
    with new_figure((width_inches, row_inches * rows), target) as drawn:
        for axes, metric in zip_longest(drawn.subplots(rows, columns, squeeze=False).flat, panels):
            if metric is None:  # the last row is not full
                axes.axis("off")
                continue
            figures = [each.figures[metric.name] for each in summary.topologies]
            _draw_panel(axes, dict(zip(names, figures, strict=True)), metric.form)
            axes.set_title(", ".join(filter(None, (metric.panel, metric.unit))), fontsize=10)
            better = "more" if metric.more_is_better else "less"
            axes.set_xlabel(f"{better} is better", fontsize=9, style="italic")


def bar_names(summary: FailoverSummary) -> list[str]:
    """What stands below the bars: the deployments' names, of one topology behind several routers the routers' alone."""
    plans = [summary.settings.plan_of(each.topology) for each in summary.topologies]
    if len(plans) > 1 and plans[0].topology and len({plan.topology for plan in plans}) == 1:
        return [plan.router for plan in plans]
    return [plan.name for plan in plans]


def _draw_panel(axes: Axes, values: Mapping[str, RunStats | None], form: Form) -> None:
    crowded = len(values) > 3
    for index, value in enumerate(values.values()):
        if value is None:
            axes.annotate(NONE, (index, 0), (0, 3), textcoords="offset points", ha="center")
        else:
            _draw_bar(axes, index, value, form, bars=len(values))
    upright = stand_upright(list(values))
    size, rotation = 8 if upright else 9, 90 if upright else 30 if crowded else 0
    axes.set_xticks(range(len(values)), list(values), fontsize=size, rotation=rotation)
    axes.set_xlim(-0.6, len(values) - 0.4)
    room = 1.25 if upright else 1.12 if form.is_percent else 1.15
    axes.set_ylim(0, 100 * room if form.is_percent else max(axes.get_ylim()[1] * room, least_span(form)))
    if form.is_percent:
        axes.set_yticks(range(0, 101, 20))
    axes.tick_params(axis="y", labelsize=9)


def stand_upright(names: Sequence[str]) -> bool:
    """Whether the names of topologies, or of deployments, stand upright below their bars."""
    return len(names) > MOST_SLANTED or max(map(len, names)) > LONGEST_SLANTED


def least_span(form: Form) -> float:
    """The least that an axis spans: on a shorter one a difference too small to measure would fill the panel."""
    return TIME_RESOLUTION_S if form is SECONDS else 1.0


def _draw_bar(axes: Axes, index: int, value: RunStats, form: Form, *, bars: int) -> None:
    colour, pattern = STYLES[index % len(STYLES)]
    factor = 100.0 if form.is_percent else 1.0
    axes.bar(index, value.median * factor, 0.72, color=colour, hatch=pattern, edgecolor="white", lw=0)
    is_crowded, turned = bars > 3, 90 if bars > MOST_SLANTED else 0
    height, size = value.median * factor, 8 if is_crowded else 9
    decimals = 1 if (is_crowded and not turned) or (height >= 10 and not form.is_percent) else 2
    text = bar_text(height, decimals)
    at: Any = {"textcoords": "offset points", "ha": "center", "fontsize": size, "rotation": turned}
    axes.annotate(text, (index, value.high * factor), (0, 3), **at)
    if value.count > 1:
        axes.vlines(index, value.low * factor, value.high * factor, color="black", lw=1.5)


def bar_text(height: float, decimals: int) -> str:
    """What stands above a bar: no 0.00 for what is more than none."""
    least = 10.0**-decimals
    if not height:
        return "0"
    return f"{height:.{decimals}f}" if height >= least / 2 else f"<{least:.{decimals}f}"
