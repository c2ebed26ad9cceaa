"""What a blocking run comes to: summary.json, the table, the chart and report.html, from its records alone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cli import UsageError
from experiments.blocking.charts import CHART, draw_blocking
from experiments.blocking.figures import BlockingSummary, PointFigures, summarize
from experiments.blocking.records import LAYOUT, read_points, read_settings
from experiments.compare.charts import draw_both
from experiments.experiment import Reporter, print_sentences, write_report
from experiments.page.cards import blocking_cards
from experiments.page.page import Chart, render_page

COLUMNS = ("Slots", "Per s", "Held, ms", "Erlangs", "Refused", "95 % interval", "Erlang B", "Inside")


def make_report(folder: Path) -> BlockingSummary:
    """Compute the summary from the records in `folder`; write it there, with chart and report. Raises UsageError."""
    settings = read_settings(folder)
    points = read_points(folder)
    if not points:
        raise UsageError(f"{folder}: no point in it was finished, so there is nothing to report")
    summary = summarize(settings, points)
    write_report(summary, render(summary, draw_both(partial(draw_blocking, summary), folder / CHART)), folder)
    return summary


def print_summary(summary: BlockingSummary, console: Console) -> None:
    """Print the table and the finding."""
    console.print(points_table(summary.points))
    print_sentences(summary.finding, console)


REPORTER = Reporter(make_report, print_summary)


def points_table(points: Sequence[PointFigures]) -> Table:
    """The points for a terminal of 80 columns."""
    title = "Refused share of Poisson arrivals, beside Erlang B at the same load"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for place, point in enumerate(points):
        is_last = place + 1 < len(points) and points[place + 1].slots != point.slots
        table.add_row(*point_cells(point), end_section=is_last)
    return table


def point_cells(point: PointFigures) -> list[str]:
    """One row of the table."""
    inside = {True: "yes", False: "no", None: "invalid"}[point.inside]
    return [
        str(point.slots),
        f"{point.arrival_rate_per_s:.1f}",
        f"{point.holding_time_s * 1000:.1f}",
        f"{point.offered_load_erlangs:.2f}",
        f"{point.refused_share * 100:.2f} %",
        f"{point.low * 100:.2f}-{point.high * 100:.2f}",
        f"{point.erlang_b * 100:.2f} %",
        inside,
    ]


def render(summary: BlockingSummary, chart: Chart) -> str:
    """The report as one HTML text with its chart inside; it refers to nothing outside."""
    return render_page(
        "blocking.html",
        title="Blocking beside Erlang B",
        cards=blocking_cards(summary),
        summary=summary,
        settings=summary.settings,
        columns=COLUMNS,
        point_cells=point_cells,
        chart=chart,
        layout=LAYOUT,
    )
