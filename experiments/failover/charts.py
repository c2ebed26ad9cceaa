"""The scorecard as an SVG file: one panel per metric. The course of one fault is in timeline.py."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from experiments.failover.summary import Summary
from experiments.page.charts import BLUE, GREEN, ORANGE, PURPLE, SKY, new_figure
from experiments.page.page import Sheet, Target
from experiments.results.statistics import RunStats

SCORECARD = "scorecard.svg"
COLUMNS, NARROW_COLUMNS = 4, 2
COLUMN_INCHES, ROW_INCHES = 2.25, 2.9
PERCENT = 100.0
LOOKS = ((ORANGE, "//"), (BLUE, ""), (GREEN, ".."), (PURPLE, "\\\\"), (SKY, "xx"))
"""Colour and pattern of each topology; its name stands below its bar."""

PANELS = (
    ("capacity_in_region_per_s", "Production capacity,\nin region, requests/s", True),
    ("capacity_out_of_region_per_s", "Production capacity,\nout of region, requests/s", True),
    ("availability", "Platform availability,\nunplanned faults, %", True),
    ("planned_availability", "Availability during\nplanned outages, %", True),
    ("lost_per_fault", "Failure impact,\nrequests lost per fault", False),
    ("worst_added_wait_s", "Failure impact,\nworst added wait, s", False),
    ("recovery_s", "Disaster recovery\ntime, s", False),
    ("response_s", "Incident response\ntime, s", False),
)
"""Figure, title, and whether more of it is better."""


def draw_scorecard(summary: Summary, target: Target, sheet: Sheet) -> None:
    """The post's chart of metrics, with measured figures: one panel per metric, one bar per topology."""
    columns = NARROW_COLUMNS if sheet.is_narrow else COLUMNS
    rows = -(-len(PANELS) // columns)
    with new_figure((COLUMN_INCHES * columns, ROW_INCHES * rows), target) as drawn:
        for axes, (name, title, more_is_better) in zip(drawn.subplots(rows, columns).flat, PANELS, strict=True):
            values = [(each.topology, each.figures[name]) for each in summary.topologies]
            _draw_panel(axes, values, PERCENT if "availability" in name else 1.0)
            axes.set_title(title, fontsize=10)
            axes.set_xlabel(f"{'more' if more_is_better else 'less'} is better", fontsize=9, style="italic")


def _draw_panel(axes: Axes, values: Sequence[tuple[str, RunStats | None]], factor: float) -> None:
    for place, (_, value) in enumerate(values):
        if value is None:
            axes.annotate("-", (place, 0), (0, 3), textcoords="offset points", ha="center")
        else:
            _draw_bar(axes, place, value, factor)
    crowded = len(values) > 3
    axes.set_xticks(range(len(values)), [name for name, _ in values], fontsize=9, rotation=30 if crowded else 0)
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.set_ylim(0, 112 if factor == PERCENT else max(axes.get_ylim()[1] * 1.15, 0.01))
    if factor == PERCENT:
        axes.set_yticks(range(0, 101, 20))
    axes.tick_params(axis="y", labelsize=9)


def _draw_bar(axes: Axes, place: int, value: RunStats, factor: float) -> None:
    colour, pattern = LOOKS[place % len(LOOKS)]
    axes.bar(place, value.median * factor, 0.72, color=colour, hatch=pattern, edgecolor="white", lw=0)
    text = f"{value.median * factor:.2f}" if factor == PERCENT else f"{value.median:.3g}"
    axes.annotate(text, (place, value.high * factor), (0, 3), textcoords="offset points", ha="center", fontsize=9)
    if value.count > 1:
        axes.vlines(place, value.low * factor, value.high * factor, color="black", lw=1.5)
