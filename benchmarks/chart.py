"""The chart of a comparison: throughput of every contender, as an SVG file drawn from the records alone."""

from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.contenders import ROUTER
from benchmarks.figures import Measurements, Range
from experiments.page.charts import BLUE, DARK, GREEN, ORANGE, new_figure

LOADS = ((1, ORANGE), (8, BLUE), (64, GREEN))
BAR = 0.26


def draw(measured: Measurements, path: Path) -> None:
    """Draws bars on a logarithmic axis: answers per second at 1, 8 and 64 connections, each with its range."""
    names = measured.contenders()
    with new_figure((8.0, 0.7 + 0.75 * len(names)), path) as figure:
        axes = figure.subplots()
        for row, name in enumerate(names):
            for index, (connections, colour) in enumerate(LOADS):
                found = measured.aggregate(name, connections, "rate_per_s")
                if found is not None:
                    label = f"{connections} connection{'s' if connections > 1 else ''}" if not row else ""
                    _bar(axes, row + (index - 1) * BAR, found, colour, label)
        axes.set_yticks(range(len(names)), names)
        for tick in axes.get_yticklabels():
            tick.set_fontweight("bold" if tick.get_text() == ROUTER else "normal")
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlim(100, axes.get_xlim()[1] * 2.2)
        axes.set_xlabel("answers per second (logarithmic); the line is the range of the repeats")
        axes.xaxis.grid(True, color="#E5E5E5")
        axes.set_axisbelow(True)
        axes.set_title("Throughput in front of predictors that answer at once")
        axes.legend(loc="lower right")


def _bar(axes: Axes, middle: float, found: Range, colour: str, label: str) -> None:
    axes.barh(middle, found.median, BAR * 0.92, color=colour, label=label or None)
    axes.hlines(middle, found.low, found.high, color="black", lw=1.2)
    axes.annotate(
        f"{found.median:,.0f}", (max(found.median, found.high), middle), (4, 0), textcoords="offset points",
        va="center", fontsize=8, color=DARK,
    )  # fmt: skip
