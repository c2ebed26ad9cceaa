"""The look of every chart: colours, patterns, figures as SVG files, legends. What is drawn is the experiments' own.

Matplotlib is imported where something is drawn: it takes half a second to load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from experiments.page.page import Sheet, Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette: distinguished by colour-blind readers, and in grey by its lightness.
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442",
)  # fmt: skip
GREY, DARK = "#BBBBBB", "#333333"
PREDICTOR_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)
PREDICTOR_PATTERNS = ("", "/////", ".....", "\\\\\\\\\\", "xxxxx", "|||||")
"""Dense, so that a load that lasts a moment, a few pixels wide, still shows its own."""

STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "hatch.linewidth": 0.8,
    "svg.hashsalt": "experiments",  # the same records give the same file
}


def note_at(axes: Axes, at_s: float, text: str, colour: str) -> None:
    """Writes at the top of the axes across the moment: as far along the text as the moment is along the axes.

    So the text begins at the axes' left edge at the earliest, and ends at their right edge at the latest.
    """
    from matplotlib.offsetbox import AnnotationBbox, TextArea

    along = min(1.0, max(0.0, at_s / axes.get_xlim()[1]))
    note = AnnotationBbox(
        TextArea(text, textprops={"color": colour}), (at_s, 1), xycoords=("data", "axes fraction"),
        box_alignment=(along, 1.0), pad=0.1, bboxprops={"facecolor": "white", "edgecolor": "none"},
    )  # fmt: skip
    note.set_in_layout(False)
    axes.add_artist(note)


def whole_steps(most: int) -> MaxNLocator:
    """The ticks of an axis that counts, or of seconds: round whole numbers, at most so many steps."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=most, integer=True, steps=(1, 2, 5, 10))


@contextmanager
def new_figure(size_inches: tuple[float, float], target: Target, **style: Any) -> Iterator[Figure]:
    """A figure that is saved as SVG to `target` when the context ends without an error; `style` adds to STYLE."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE | style):
        figure = Figure(figsize=size_inches, layout="constrained")
        yield figure
        figure.savefig(target, format="svg", metadata={"Date": None})


def theory_last(label: str) -> bool:
    """An order of labels: what was measured stands before what it is set beside."""
    return label.startswith(("theory", "the post"))


def put_legends(
    figure: Figure, all_axes: Sequence[Axes], sheet: Sheet, order: Callable[[str], Any] = theory_last
) -> None:
    """A legend beside each of the axes, or on a narrow page one for all below them; each label stands once."""
    found = [_entries(axes, order) for axes in all_axes]
    if sheet.is_narrow:
        signs = {label: sign for each in found for label, sign in each.items()}
        if signs:
            figure.legend(
                signs.values(), signs.keys(), loc="outside lower left", ncols=2, fontsize=9, columnspacing=1.0
            )
        return
    for axes, signs in zip(all_axes, found, strict=True):
        axes.legend(signs.values(), signs.keys(), loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _entries(axes: Axes, order: Callable[[str], Any]) -> dict[str, Any]:
    """Label and sign of what is drawn in the axes: each label once, the topmost first."""
    handles, labels = axes.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    return {label: first[label] for label in sorted(first, key=order)}
