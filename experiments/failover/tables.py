"""The tables of a failover run for a terminal of 80 columns; the report shows the same cells in HTML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiments.failover.claims import CLAIMS
from experiments.failover.faults import FAULTS
from experiments.failover.summary import Summary, TopologySummary
from experiments.failover.windows import WindowFigures
from experiments.results.statistics import RunStats

NONE = "-"
LAGGED = "invalid"

Form = Callable[[float], str]


def _percent(value: float) -> str:
    return f"{value:.2%}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def _number(value: float) -> str:
    return f"{value:.1f}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


ROWS: tuple[tuple[str, str, Form], ...] = (
    ("Capacity in region, requests/s", "capacity_in_region_per_s", _number),
    ("Capacity out of region, requests/s", "capacity_out_of_region_per_s", _number),
    ("Platform availability", "availability", _percent),
    ("Availability in planned outages", "planned_availability", _percent),
    ("Availability in surges", "surge_availability", _percent),
    ("Impact: requests lost per fault", "lost_per_fault", _number),
    ("Impact: capacity lost", "capacity_lost_share", _share),
    ("Impact: worst added wait", "worst_added_wait_s", _seconds),
    ("Disaster recovery time", "recovery_s", _seconds),
    ("  until all is as planned", "redundancy_s", _seconds),
    ("Incident response: router", "response_s", _seconds),
    ("Incident response: standby answers", "standby_answer_s", _seconds),
)
"""The six metrics: label, figure, and how a value is written."""


def scorecard_table(summary: Summary) -> Table:
    """The six metrics per topology."""
    table = _table("The scorecard", ["Metric", *(each.topology for each in summary.topologies)])
    for cells in scorecard_rows(summary):
        table.add_row(*cells)
    return table


def scorecard_rows(summary: Summary) -> list[list[str]]:
    """One row per metric; a second line of a cell is the range over the repeats."""
    return [
        [label, *(repeats_cell(topology.figures[name], form) for topology in summary.topologies)]
        for label, name, form in ROWS
    ]


def loss_table(summary: Summary) -> Table:
    """The loss matrix: requests lost of those offered, per fault and topology."""
    table = _table("Requests lost of those offered", ["Fault", *(each.topology for each in summary.topologies)])
    for cells in loss_rows(summary):
        table.add_row(*cells)
    return table


def loss_rows(summary: Summary) -> list[list[str]]:
    """One row per fault."""
    return [
        [fault, *(loss_cell(topology, fault) for topology in summary.topologies)] for fault in summary.settings.faults
    ]


def loss_cell(topology: TopologySummary, fault: str) -> str:
    """Lost of offered, summed over valid repeats, with the range of losses; or why there is no figure."""
    found = topology.cell(fault)
    if not found:
        return "skipped" if fault in topology.skipped else NONE
    valid = [window for window in found if window.valid]
    if not valid:
        return LAGGED
    lost = [window.lost for window in valid]
    text = f"{sum(lost)} of {sum(window.offered for window in valid)}"
    return text if min(lost) == max(lost) else f"{text}\n{min(lost)}-{max(lost)} a run"


HEATS = ((0.0, "none lost"), (0.01, "up to 1 %"), (0.05, "up to 5 %"), (0.2, "up to 20 %"), (1.0, "more"))
"""The share of requests lost up to which a cell of the loss matrix has this shade, and the shade in words."""


@dataclass(frozen=True)
class LossCell:
    """A cell of the loss matrix in HTML: its text, the share below the count, and its shade's class."""

    text: str
    kind: str


def heat_matrix(summary: Summary) -> list[tuple[str, str, list[LossCell]]]:
    """The loss matrix: fault, what it is, and a cell per topology."""
    return [
        (fault, FAULTS[fault].what, [_heat_cell(topology, fault) for topology in summary.topologies])
        for fault in summary.settings.faults
    ]


def heats() -> list[tuple[str, str]]:
    """Class and words of each shade."""
    return [(f"heat{place}", words) for place, (_, words) in enumerate(HEATS)]


def _heat_cell(topology: TopologySummary, fault: str) -> LossCell:
    valid = [window for window in topology.cell(fault) if window.valid]
    if not valid:
        return LossCell(loss_cell(topology, fault), "none")
    lost, offered = sum(window.lost for window in valid), sum(window.offered for window in valid)
    share = lost / offered if offered else 0.0
    place = next(place for place, (most, _) in enumerate(HEATS) if share <= most)
    if not lost:
        return LossCell(f"none\nof {offered}", f"heat{place}")
    count, _, spread = loss_cell(topology, fault).partition("\n")
    return LossCell("\n".join(filter(None, (f"{share:.1%}", count, spread))), f"heat{place}")


def scorecard_with_claims(summary: Summary) -> list[tuple[list[str], str]]:
    """The scorecard's rows, each with what the post says about its metric."""
    claims = {claim.figure: claim.short for claim in CLAIMS}
    return [(cells, claims.get(name, "")) for cells, (_, name, _) in zip(scorecard_rows(summary), ROWS, strict=True)]


def window_rows(topology: TopologySummary) -> list[list[str]]:
    """Every fault's figures, the medians over its valid repeats."""
    rows = []
    for fault in dict.fromkeys(window.fault for window in topology.windows):
        found = [window for window in topology.cell(fault) if window.valid]
        rows.append([fault, *_medians(found)] if found else [fault, LAGGED, *[NONE] * 9])
    return rows


def _medians(found: Sequence[WindowFigures]) -> list[str]:
    def cell(figure: Callable[[WindowFigures], float | None], form: Form) -> str:
        known = [value for value in map(figure, found) if value is not None]
        return form(median(known)) if known else NONE

    reasons = sorted({reason for window in found for reason in window.lost_by_reason})
    return [
        cell(lambda w: w.offered_rate_per_s, _number),
        cell(lambda w: w.throughput_per_s, _number),
        cell(lambda w: w.availability, _percent),
        cell(lambda w: w.lost, lambda value: f"{value:g}") + (f"\n{', '.join(reasons)}" if reasons else ""),
        cell(lambda w: w.worst_added_wait_s, _seconds),
        cell(lambda w: w.response_s, _seconds),
        cell(lambda w: w.standby_answer_s, _seconds),
        cell(lambda w: w.recovery_s, _seconds),
        cell(lambda w: w.redundancy_s, _seconds),
        cell(lambda w: w.lateness_p99_s, lambda value: f"{value * 1000:.0f} ms"),
    ]


def repeats_cell(repeats: RunStats | None, form: Form) -> str:
    """The median and, where repeats differ as written, their range below it."""
    if repeats is None:
        return NONE
    if form(repeats.low) == form(repeats.high):
        return form(repeats.median)
    return f"{form(repeats.median)}\n{form(repeats.low).rstrip('% s')}-{form(repeats.high)}"


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), min_width=44
    )
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold")
    return table
