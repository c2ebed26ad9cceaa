"""The picture of docs/peers.md: a matrix of faults and routers, a cell's colour by the share of requests lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from experiments.failover.tables import LOSS_SHADES
from experiments.page.charts import DARK, new_figure
from experiments.page.page import Target
from experiments.page.text import NONE, percent_text
from tools.peers_figures import OWN, SATURATION, share_lost
from tools.peers_results import CONTROL, Cell, Results
from tools.peers_tables import ROUTER_FAULTS, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADES = ("#FFFFFF", "#FCE6D4", "#F6BE94", "#E58A45", "#A84300")
"""One hue, darker by the steps of LOSS_SHADES: told apart in grey and by the colour-blind. No loss has none of it."""

NOT_MEASURED, LINE, FAINT = "#EFEFEF", "#CFCFCF", "#707070"
ROW, COLUMN, LEFT, GAP, HEAD, FOOT = 0.31, 1.0, 1.85, 0.16, 0.95, 0.75
"""Inches: a cell's height and width, the faults' names, what sets groups apart, the heads, the legend."""

LEGEND_STEP = 1.14
FIRST_OF_GROUP = ("surge", ROUTER_FAULTS[0], CONTROL)
"""Predictors' faults, those of the load, the router's own and none are set apart."""


def draw(results: Results, target: Target) -> None:
    """Draws the matrix as SVG, its ground opaque."""
    routers, faults = results.routers, in_order(results.faults)
    lefts = list(_edges(routers, LEFT, COLUMN, lambda name: name not in OWN))
    tops = list(_edges(faults, HEAD, ROW, lambda name: name in FIRST_OF_GROUP, every=True))
    width, height = lefts[-1] + COLUMN + 0.1, tops[-1] + ROW + FOOT
    with new_figure((width, height), target) as figure:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        _heads(axes, routers, lefts)
        for fault, top in zip(faults, tops, strict=True):
            name = f"{fault} (not refused)" if fault == SATURATION else fault
            axes.text(LEFT - 0.1, top + ROW / 2, name, ha="right", va="center", fontsize=10)
            for router, left in zip(routers, lefts, strict=True):
                _cell(axes, results.cell(router, fault), left, top)
        _legend(axes, height - 0.42)


def _edges(
    names: Sequence[str], start: float, step: float, begins: Callable[[str], bool], *, every: bool = False
) -> Iterator[float]:
    """Where each cell begins; a gap stands before those at which a group begins, or before the first such alone."""
    gaps = 0
    for number, name in enumerate(names):
        gaps += number > 0 and begins(name) and (every or not gaps)
        yield start + number * step + gaps * GAP


def _heads(axes: Axes, routers: Sequence[str], lefts: Sequence[float]) -> None:
    axes.text(0.1, 0.24, "Share of the requests lost while a fault lasts", va="center", fontsize=12, fontweight="bold")
    for router, left in zip(routers, lefts, strict=True):
        weight = "bold" if router in OWN else "normal"
        axes.text(left + COLUMN / 2, HEAD - 0.14, router, ha="center", va="center", fontsize=10, fontweight=weight)
    for text, own in (("this project", True), ("others", False)):
        group = [left for router, left in zip(routers, lefts, strict=True) if (router in OWN) is own]
        if group:
            axes.text(
                (group[0] + group[-1] + COLUMN) / 2,
                HEAD - 0.38,
                text,
                ha="center",
                va="center",
                fontsize=9,
                color=FAINT,
            )


def _cell(axes: Axes, cell: Cell | None, left: float, top: float) -> None:
    from matplotlib.patches import Rectangle

    share = share_lost(cell) if cell else None
    colour, ink = (NOT_MEASURED, FAINT) if share is None else (SHADES[shade(share)], _ink(share))
    axes.add_patch(Rectangle((left, top), COLUMN, ROW, facecolor=colour, edgecolor=LINE, linewidth=0.8))
    axes.text(left + COLUMN / 2, top + ROW / 2, share_text(share), ha="center", va="center", fontsize=10, color=ink)


def shade(share: float) -> int:
    """The step of LOSS_SHADES that a share is in; 0 for none lost."""
    return next(number for number, (most, _) in enumerate(LOSS_SHADES) if share <= most)


def _ink(share: float) -> str:
    """White on the darkest; a cell of no loss is as quiet as its colour."""
    return "white" if shade(share) == len(SHADES) - 1 else DARK


def share_text(share: float | None) -> str:
    """The share as its cell has it: 0 only where nothing was lost."""
    if share is None:
        return NONE
    if share == 0:
        return "0"
    return "< 0.1 %" if share < 0.001 else percent_text(share, 1 if share < 0.1 else 0)


def _legend(axes: Axes, top: float) -> None:
    from matplotlib.patches import Rectangle

    entries = [*zip(SHADES, (text for _, text in LOSS_SHADES), strict=True), (NOT_MEASURED, f"{NONE}  no figure")]
    for number, (colour, text) in enumerate(entries):
        left = LEFT + number * LEGEND_STEP
        axes.add_patch(Rectangle((left, top), 0.24, 0.2, facecolor=colour, edgecolor=LINE, linewidth=0.8))
        axes.text(left + 0.32, top + 0.1, text, va="center", fontsize=9, color=DARK)
