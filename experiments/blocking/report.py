"""What a blocking run comes to: summary, table, page and the figures that two runs are compared by."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from rich.table import Table

from experiments.blocking.figures import DEFINITIONS, LABELS, SCHEMA_NAME, BlockingSummary, PointFigures, point_figures
from experiments.blocking.findings import findings
from experiments.blocking.records import LAYOUT, BlockingSettings, PointRecords
from experiments.experiment import Figure
from experiments.page.page import Card, draw_both, render_page
from experiments.page.tables import new_table
from experiments.page.text import NONE
from experiments.results.statistics import RunStats
from experiments.theory.first_failure import Spread

COLUMNS = ("Slots", "Per s", "Held, ms", "Erlangs", "Refused", "95 % interval", "Erlang B", "Inside")
CHART = "blocking.svg"


def summarize(settings: BlockingSettings, points: Sequence[PointRecords]) -> BlockingSummary:
    """Computes summary.json: the figures of every point, and the findings."""
    figures = [point_figures(records, settings.service_time_s) for records in points]
    return BlockingSummary(SCHEMA_NAME, findings(figures), settings, figures, DEFINITIONS)


def tables(summary: BlockingSummary) -> list[Table]:
    """The points, for a terminal of 80 columns."""
    title = "Refused share of Poisson arrivals, beside Erlang B at the same load"
    return [new_table(title, COLUMNS, [map(point_cells, points) for _, points in by_slots(summary)])]


def by_slots(summary: BlockingSummary) -> list[tuple[int, list[PointFigures]]]:
    """The points of each number of slots."""
    return [(slots, list(points)) for slots, points in groupby(summary.points, key=lambda point: point.slots)]


def point_cells(point: PointFigures) -> list[str]:
    """One row of the table."""
    return [
        str(point.slots),
        f"{point.arrival_rate_per_s:.1f}",
        f"{point.holding_time_s * 1000:.1f}",
        f"{point.offered_load_erlangs:.2f}",
        f"{point.refused_share * 100:.2f} %",
        f"{point.low * 100:.2f}-{point.high * 100:.2f}",
        f"{point.erlang_b * 100:.2f} %",
        {True: "yes", False: "no", None: "invalid"}[point.inside],
    ]


def sentences(summary: BlockingSummary) -> list[str]:
    """The finding."""
    return summary.finding


def _card(slots: int, points: Sequence[PointFigures]) -> Card:
    """How many points of one number of slots agree with Erlang B."""
    valid = [point for point in points if not point.invalid]
    shares = [point.refused_share for point in valid]
    gap = max((point.gap for point in valid), key=abs, default=None)
    return Card(
        name=f"{slots} slots",
        what=f"{len(points)} load{'s' if len(points) != 1 else ''}, {sum(point.arrivals for point in points)} requests",
        figure=f"{sum(point.inside is True for point in valid)} of {len(valid)}" if valid else NONE,
        unit="valid points agree with Erlang B",
        facts=[
            ("refused", f"{min(shares):.1%} to {max(shares):.1%}" if shares else NONE),
            ("largest gap", NONE if gap is None else f"{100 * gap:+.2f} points"),
            ("invalid", str(len(points) - len(valid))),
        ],
    )


def page(summary: BlockingSummary, _: Sequence[PointRecords], folder: Path) -> str:
    """Draws the chart into the folder and makes the page, which refers to nothing outside."""
    from experiments.blocking.charts import draw_blocking  # matplotlib takes half a second to load

    return render_page(
        Path(__file__).with_name("page.html"),
        summary,
        labels=LABELS,
        title="Blocking beside Erlang B",
        cards=[_card(slots, points) for slots, points in by_slots(summary)],
        columns=COLUMNS,
        point_cells=point_cells,
        chart=draw_both(partial(draw_blocking, summary), folder / CHART),
        layout=LAYOUT,
    )


def figures(summary: BlockingSummary) -> Iterator[Figure]:
    """Each valid point's gap to Erlang B, in percentage points: 0 by theory; how far it varies gives the interval."""
    for point in summary.points:
        if not point.invalid:
            middle, low, high = (
                100 * (share - point.erlang_b) for share in (point.refused_share, point.low, point.high)
            )
            spread = Spread(0.0, low - middle, high - middle)
            subject = f"{point.slots} slots, {point.aimed_blocking:.0%}"
            yield Figure(subject, "gap to Erlang B, %", point.slots, RunStats(middle, middle, middle, 1), spread)
