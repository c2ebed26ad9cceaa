"""The tables of a failover run for a terminal of 80 columns; the report shows the same cells in HTML."""

from collections.abc import Sequence
from statistics import median

from rich.table import Table

from experiments.failover.claims import CLAIMS
from experiments.failover.faults import FAULTS
from experiments.failover.metrics import METRICS
from experiments.failover.summary import FailoverSummary, TopologyScorecard
from experiments.failover.window_metrics import COLUMNS, WindowFigures, WindowMetric
from experiments.page.tables import new_table, stats_cell
from experiments.page.text import NONE

LAGGED = "invalid"

WINDOW_HEADS = ["Fault", *(metric.label for metric in COLUMNS)]
"""The heads of the table of every fault."""

LOSS_SHADES = ((0.0, "none lost"), (0.01, "up to 1 %"), (0.05, "up to 5 %"), (0.2, "up to 20 %"), (1.0, "more"))
"""The share of requests lost up to which a cell has a shade, and its words; the first shade's class is heat0."""


def scorecard_table(summary: FailoverSummary) -> Table:
    """The metrics of each topology; a second line of a cell is the range over the repeats."""
    return _table("The scorecard", "Metric", [cells for cells, _ in scorecard_rows(summary)], summary)


def scorecard_rows(summary: FailoverSummary) -> list[tuple[list[str], str]]:
    """The cells of each metric, and what the post says about it."""
    claims = {claim.figure: claim.short for claim in CLAIMS}
    return [
        (
            [metric.label, *(stats_cell(each.figures[metric.name], metric.form) for each in summary.topologies)],
            claims.get(metric.name, ""),
        )
        for metric in METRICS
    ]


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
    if valid:
        lost = [window.lost for window in valid]
        text = f"{sum(lost)} of {sum(window.offered for window in valid)}"
        return text if min(lost) == max(lost) else f"{text}\n{min(lost)}-{max(lost)} a run"
    if fault in topology.faults:
        return LAGGED
    return "skipped" if fault in topology.skipped else NONE


def loss_matrix(summary: FailoverSummary) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """The loss matrix in HTML: fault, what it is, and per topology a cell's text and its shade's class."""
    return [
        (fault, FAULTS[fault].what, [_shaded_cell(topology, fault) for topology in summary.topologies])
        for fault in summary.settings.faults
    ]


def _shaded_cell(topology: TopologyScorecard, fault: str) -> tuple[str, str]:
    valid, text = topology.valid_windows(fault), loss_cell(topology, fault)
    if not valid:
        return text, "none"
    offered = sum(window.offered for window in valid)
    share = sum(window.lost for window in valid) / offered
    shade = next(number for number, (most, _) in enumerate(LOSS_SHADES) if share <= most)
    return (f"{share:.1%}\n{text}" if share else f"none\nof {offered}"), f"heat{shade}"


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
