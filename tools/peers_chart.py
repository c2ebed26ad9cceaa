"""The picture of docs/peers.md: a matrix of faults and routers, a cell's colour by the requests lost per fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING

from experiments.page.charts import DARK, new_figure
from experiments.page.page import Target
from experiments.page.text import NONE, join_words
from tools.peers_figures import OWN, SATURATION, mean_lost
from tools.peers_results import CONTROL, Cell, Results
from tools.peers_tables import ROUTER_FAULTS, in_order
from tools.peers_text import WHOSE, count_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADES = ("#FFFFFF", "#FCE6D4", "#F6BE94", "#E58A45", "#A84300")
"""One hue, darker by the steps of STEPS: told apart in grey and by the colour-blind. No loss has none of it."""

STEPS = ((0.0, "none lost"), (1.0, "up to 1"), (5.0, "up to 5"), (20.0, "up to 20"), (inf, "more"))
"""The requests lost per fault up to which a cell has a shade, and their words."""

NOT_MEASURED, LINE, FAINT = "#EFEFEF", "#CFCFCF", "#707070"
ROW, COLUMN, LEFT, GAP, HEAD, FOOT = 0.31, 1.0, 1.85, 0.16, 0.85, 0.85
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
            name = f"{fault} *" if fault == SATURATION else fault
            axes.text(LEFT - 0.1, top + ROW / 2, name, ha="right", va="center", fontsize=10)
            for router, left in zip(routers, lefts, strict=True):
                _cell(axes, results.cell(router, fault), left, top)
        _legend(axes, height - 0.52)
        axes.text(LEFT, height - 0.16, _what(results), va="center", fontsize=9, color=FAINT)


def _edges(
    names: Sequence[str], start: float, step: float, begins: Callable[[str], bool], *, every: bool = False
) -> Iterator[float]:
    """Where each cell begins; a gap stands before those at which a group begins, or before the first such alone."""
    gaps = 0
    for number, name in enumerate(names):
        gaps += number > 0 and begins(name) and (every or not gaps)
        yield start + number * step + gaps * GAP


def _heads(axes: Axes, routers: Sequence[str], lefts: Sequence[float]) -> None:
    """The title and the columns' heads; above a name that could be taken for another's stands whose it is."""
    axes.text(0.1, 0.22, "Requests lost per fault", va="center", fontsize=12, fontweight="bold")
    for router, left in zip(routers, lefts, strict=True):
        weight = "bold" if router in OWN else "normal"
        lines = [WHOSE[router], f"({router})"] if router in WHOSE else [router]
        for text, top, size in zip(reversed(lines), (HEAD - 0.14, HEAD - 0.32), (9, 10), strict=False):
            shown = 10 if len(lines) == 1 else size
            axes.text(left + COLUMN / 2, top, text, ha="center", va="center", fontsize=shown, fontweight=weight)


def _what(results: Results) -> str:
    """What the figures are: of how many windows, at which rate."""
    counts = sorted({len(each.lost) for each in results.cells if each.lost})
    windows = " to ".join(str(count) for count in dict.fromkeys([*counts[:1], *counts[-1:]]))
    rates = join_words([f"{rate:g}" for rate in results.about["settings"]["rate_per_s"]])
    plural = "" if windows == "1" else "s"
    saturation = "  * besides those refused" if SATURATION in results.faults else ""
    return f"Means of {windows or 'no'} window{plural} per cell, at {rates} requests/s for every router.{saturation}"


def _cell(axes: Axes, cell: Cell | None, left: float, top: float) -> None:
    from matplotlib.patches import Rectangle

    lost = mean_lost(cell) if cell else None
    colour, ink = (NOT_MEASURED, FAINT) if lost is None else (SHADES[shade(lost)], _ink(lost))
    axes.add_patch(Rectangle((left, top), COLUMN, ROW, facecolor=colour, edgecolor=LINE, linewidth=0.8))
    axes.text(
        left + COLUMN / 2,
        top + ROW / 2,
        NONE if lost is None else count_text(lost),
        ha="center",
        va="center",
        fontsize=10,
        color=ink,
    )


def shade(lost: float) -> int:
    """The step of STEPS that so many lost are in; 0 for none lost."""
    return next(number for number, (most, _) in enumerate(STEPS) if lost <= most)


def _ink(lost: float) -> str:
    """White on the darkest; a cell of no loss is as quiet as its colour."""
    return "white" if shade(lost) == len(SHADES) - 1 else DARK


def _legend(axes: Axes, top: float) -> None:
    from matplotlib.patches import Rectangle

    entries = [*zip(SHADES, (text for _, text in STEPS), strict=True), (NOT_MEASURED, f"{NONE}  no figure")]
    for number, (colour, text) in enumerate(entries):
        left = LEFT + number * LEGEND_STEP
        axes.add_patch(Rectangle((left, top), 0.24, 0.2, facecolor=colour, edgecolor=LINE, linewidth=0.8))
        axes.text(left + 0.32, top + 0.1, text, va="center", fontsize=9, color=DARK)
