"""The tables of a failover run for a terminal of 80 columns; the report shows the same cells in HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from experiments.failover.claims import CLAIMS
from experiments.failover.faults import FAULTS
from experiments.failover.figures import TopologyScorecard
from experiments.failover.metrics import METRICS
from experiments.failover.summary import FailoverSummary
from experiments.failover.window_metrics import COLUMNS, WindowFigures, WindowMetric
from experiments.page.tables import new_table, stats_cell
from experiments.page.text import NONE

LAGGED = "invalid"

WINDOW_HEADS = ["Fault", *(metric.label for metric in COLUMNS)]
"""The heads of the table of every fault."""

LOSS_SHADES = ((0.0, "none lost"), (0.01, "up to 1 %"), (0.05, "up to 5 %"), (0.2, "up to 20 %"), (1.0, "more"))
"""The share of requests lost up to which a cell of the loss matrix has this shade, and the shade in words."""


def scorecard_table(summary: FailoverSummary) -> Table:
    """The metrics of each topology."""
    return _table("The scorecard", "Metric", scorecard_rows(summary), summary)


def scorecard_rows(summary: FailoverSummary) -> list[list[str]]:
    """One row per metric; a second line of a cell is the range over the repeats."""
    return [
        [metric.label, *(stats_cell(each.figures[metric.name], metric.form) for each in summary.topologies)]
        for metric in METRICS
    ]


def scorecard_with_claims(summary: FailoverSummary) -> list[tuple[list[str], str]]:
    """The scorecard's rows, each with what the post says about its metric."""
    claims = {claim.figure: claim.short for claim in CLAIMS}
    rows = scorecard_rows(summary)
    return [(cells, claims.get(metric.name, "")) for cells, metric in zip(rows, METRICS, strict=True)]


def loss_table(summary: FailoverSummary) -> Table:
    """The loss matrix: requests lost of those offered, per fault and topology."""
    rows = [[fault, *(loss_cell(each, fault) for each in summary.topologies)] for fault in summary.settings.faults]
    return _table("Requests lost of those offered", "Fault", rows, summary)


def _table(title: str, head: str, rows: Sequence[Sequence[str]], summary: FailoverSummary) -> Table:
    columns = [head, *(each.topology for each in summary.topologies)]
    return new_table(title, columns, [rows], text=(0,), folds=range(len(columns)), min_width=44)


def loss_cell(topology: TopologyScorecard, fault: str) -> str:
    """Lost of offered, summed over valid repeats, with the range of losses; or why there is no figure."""
    valid = topology.valid_windows(fault)
    if not valid:
        return _why_no_figure(topology, fault)
    lost = [window.lost for window in valid]
    text = f"{sum(lost)} of {sum(window.offered for window in valid)}"
    return text if min(lost) == max(lost) else f"{text}\n{min(lost)}-{max(lost)} a run"


def _why_no_figure(topology: TopologyScorecard, fault: str) -> str:
    if topology.windows_of(fault):
        return LAGGED
    return "skipped" if fault in topology.skipped else NONE


@dataclass(frozen=True)
class LossCell:
    """A cell of the loss matrix in HTML: its text, the share below the count, and its shade's class."""

    text: str
    kind: str


def loss_matrix(summary: FailoverSummary) -> list[tuple[str, str, list[LossCell]]]:
    """The loss matrix in HTML: fault, what it is, and a cell per topology."""
    return [
        (fault, FAULTS[fault].what, [_shaded_cell(topology, fault) for topology in summary.topologies])
        for fault in summary.settings.faults
    ]


def loss_legend() -> list[tuple[str, str]]:
    """Class and words of each shade."""
    return [(f"heat{number}", words) for number, (_, words) in enumerate(LOSS_SHADES)]


def _shaded_cell(topology: TopologyScorecard, fault: str) -> LossCell:
    valid = topology.valid_windows(fault)
    if not valid:
        return LossCell(_why_no_figure(topology, fault), "none")
    lost, offered = sum(window.lost for window in valid), sum(window.offered for window in valid)
    share = lost / offered
    shade = next(number for number, (most, _) in enumerate(LOSS_SHADES) if share <= most)
    if not lost:
        return LossCell(f"none\nof {offered}", f"heat{shade}")
    count, _, spread = loss_cell(topology, fault).partition("\n")
    return LossCell("\n".join(filter(None, (f"{share:.1%}", count, spread))), f"heat{shade}")


def window_rows(topology: TopologyScorecard) -> list[list[str]]:
    """Every fault's figures, the medians over its valid repeats."""
    return [[fault, *_window_cells(topology.valid_windows(fault))] for fault in topology.faults]


def _window_cells(valid: Sequence[WindowFigures]) -> list[str]:
    if not valid:
        return [LAGGED, *[NONE] * (len(COLUMNS) - 1)]
    return [_window_cell(metric, valid) for metric in COLUMNS]


def _window_cell(metric: WindowMetric, valid: Sequence[WindowFigures]) -> str:
    """The median of those that have the figure, and the note on it."""
    values = [value for window in valid if (value := getattr(window, metric.name)) is not None]
    note = metric.note(valid) if metric.note else ""
    return "\n".join(filter(None, (metric.form(median(values)) if values else NONE, note)))
