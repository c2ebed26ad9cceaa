"""What a blocking run comes to: summary, tables, page and the figures that two runs are compared by."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rich.table import Table

from experiments.blocking.charts import draw_blocking, draw_goodput
from experiments.blocking.claims import SUBJECT, count_slots, judge_claim
from experiments.blocking.figures import DEFINITIONS, LABELS, PointFigures, point_figures
from experiments.blocking.findings import comparison_findings, findings
from experiments.blocking.pairs import PAIR_DEFINITIONS, PAIR_LABELS, Comparison, Pair, SlotsApart, goodput, pairs
from experiments.blocking.records import LAYOUT, BlockingSettings, PointRecords
from experiments.blocking.summary import SCHEMA_NAME, BlockingSummary
from experiments.blocking.tables import (
    GOODPUT_COLUMNS,
    PAIR_COLUMNS,
    POINT_COLUMNS,
    by_name,
    goodput_rows,
    goodput_table,
    inside_cell,
    pair_cells,
    pair_rows,
    pair_table,
    point_cells,
    points_table,
    subject,
)
from experiments.experiment import Figure
from experiments.page.page import Card, draw_both, render_page
from experiments.page.text import NONE
from experiments.results.statistics import RunStats
from experiments.theory.first_failure import Spread
from experiments.theory.verdicts import Verdict

CHART, GOODPUT_CHART = "blocking.svg", "goodput.svg"


def summarize(settings: BlockingSettings, points: Sequence[PointRecords]) -> BlockingSummary:
    """Computes summary.json: the figures of every point, topologies beside each other, and the findings."""
    names = [plan.name for plan in settings.topologies]
    if not names:
        figures = _point_figures(settings, points)
        return BlockingSummary(SCHEMA_NAME, findings(settings, figures), settings, figures, DEFINITIONS)
    ordered = sorted(points, key=lambda records: names.index(records.point.topology))  # stable: by rate within each
    figures = _point_figures(settings, ordered)
    comparison = _compare(settings, ordered, figures)
    finding = comparison_findings(settings, comparison, figures)
    return BlockingSummary(SCHEMA_NAME, finding, settings, figures, DEFINITIONS | PAIR_DEFINITIONS, comparison)


def _point_figures(settings: BlockingSettings, points: Sequence[PointRecords]) -> list[PointFigures]:
    queued_s = settings.holding_time_s if settings.why_no_theory else None
    return [point_figures(records, settings.service_time_s, queued_s) for records in points]


def _compare(settings: BlockingSettings, points: Sequence[PointRecords], figures: Sequence[PointFigures]) -> Comparison:
    measured = [] if settings.why_no_theory else list(zip(points, figures, strict=True))

    def are_beside(a: str, b: str) -> bool:
        return settings.plan_of(a).is_beside(settings.plan_of(b))

    found = pairs(measured, SUBJECT, settings.service_time_s, settings.margins.slots, are_beside)
    claims = judge_claim(found) if settings.has_own_router_alone else []
    return Comparison([goodput(point) for point in figures], found, claims)


def tables(summary: BlockingSummary) -> list[Table]:
    """The points, for a terminal of 80 columns; of topologies also what tells them apart."""
    if summary.comparison is None:
        return [points_table(summary)]
    return [goodput_table(summary), *map(pair_table, summary.comparison.pairs)]


def sentences(summary: BlockingSummary) -> list[str]:
    """The finding."""
    return summary.finding


def page(summary: BlockingSummary, _: Sequence[PointRecords], folder: Path) -> str:
    """Draws the chart into the folder and makes the page, which refers to nothing outside."""
    here = Path(__file__)
    if summary.comparison is None:
        return render_page(
            here.with_name("page.html"),
            summary,
            labels=LABELS,
            title="Blocking" if summary.settings.why_no_theory else "Blocking beside Erlang B",
            cards=[_card(name, points) for name, points in by_name(summary)],
            columns=POINT_COLUMNS,
            point_cells=point_cells,
            chart=draw_both(partial(draw_blocking, summary), folder / CHART),
            layout=LAYOUT,
        )
    return render_page(
        here.with_name("topologies.html"),
        summary,
        labels=LABELS | PAIR_LABELS,
        title="Goodput of topologies",
        cards=_pair_cards(summary.comparison, summary.settings.margins.slots),
        columns=GOODPUT_COLUMNS,
        pair_columns=PAIR_COLUMNS,
        goodput_rows=list(goodput_rows(summary)),
        pair_cells=pair_cells,
        inside_cell=inside_cell,
        pair_rows=pair_rows,
        chart=draw_both(partial(draw_goodput, summary), folder / GOODPUT_CHART),
        layout=LAYOUT,
    )


def _card(name: str, points: Sequence[PointFigures]) -> Card:
    """How many points of one number of slots agree with Erlang B; where it does not apply, what they refused."""
    valid = [point for point in points if not point.invalid]
    shares = [point.refused_share for point in valid]
    gap = max((point.gap for point in valid if point.gap is not None), key=abs, default=None)
    agree = sum(point.inside is True for point in valid)
    refused = f"{100 * min(shares):.1f} to {100 * max(shares):.1f} %" if shares else NONE
    what = f"{len(points)} load{'s' if len(points) != 1 else ''}, {sum(point.arrivals for point in points)} requests"
    invalid = ("invalid", str(len(points) - len(valid)))
    if all(point.erlang_b is None for point in points):
        return Card(name, what, refused, "refused, from the least to the most of its loads", [invalid])
    facts = [("refused", refused), ("largest gap", NONE if gap is None else f"{100 * gap:+.2f} points"), invalid]
    figure = f"{agree} of {len(valid)}" if valid else NONE
    return Card(name, what, figure, "valid points agree with Erlang B", facts)


def _pair_cards(comparison: Comparison, margin_slots: float) -> list[Card]:
    """Two for each pair: about the first failures, and beyond."""
    return [
        _part_card(pair, name, part, margin_slots)
        for pair in comparison.pairs
        for name, part in (("Saturates later?", pair.saturation), ("Serves more beyond?", pair.beyond))
        if part is not None
    ]


def _part_card(pair: Pair, name: str, part: SlotsApart, margin_slots: float) -> Card:
    loads = ", ".join(f"{100 * share:.0f}" for share in part.aimed_blockings)
    return Card(
        name=name,
        what=f"{pair.topology} beside {pair.against}; {loads} % refused",
        figure=part.verdict,
        unit=_card_unit(pair, part, margin_slots),
        facts=[
            ("slots apart", f"{part.slots:+.2f}"),
            ("95 % interval", f"{part.low:.2f} to {part.high:.2f}"),
            ("good answers/s", f"{part.goodput_more_per_s:+.2f}"),
        ],
    )


def _card_unit(pair: Pair, part: SlotsApart, margin_slots: float) -> str:
    if part.verdict == Verdict.EQUAL:
        return f"within {count_slots(margin_slots)}"
    if part.verdict != Verdict.NOT_DECIDED:
        return f"than {pair.against}"
    return f"{part.more_arrivals:,} more arrivals at each load would do" if part.more_arrivals else "by these arrivals"


def figures(summary: BlockingSummary) -> Iterator[Figure]:
    """Each valid point's gap to Erlang B, in percentage points: 0 by theory; how far it varies gives the interval.

    Where theory does not apply, the refused share itself.

    Of topologies also how many slots apart each two are.
    """
    for point in summary.points:
        if not point.invalid:
            expected, what = (0.0, "refused, %") if point.erlang_b is None else (point.erlang_b, "gap to Erlang B, %")
            middle, low, high = (100 * (share - expected) for share in (point.refused_share, point.low, point.high))
            spread = Spread(0.0, low - middle, high - middle)
            name = f"{subject(point)}, {point.aimed_blocking:.0%}"
            yield Figure(name, what, point.slots, RunStats(middle, middle, middle, 1), spread)
    if summary.comparison is not None:
        for pair in summary.comparison.pairs:
            yield from _pair_figures(pair, summary.settings.margins.slots)


def _pair_figures(pair: Pair, margin_slots: float) -> Iterator[Figure]:
    """How many slots apart two topologies are; as far as the interval allows it is what was planned."""
    for name, part in (("first failures", pair.saturation), ("beyond them", pair.beyond)):
        if part is not None:
            spread = Spread(0.0, part.low_90 - part.slots, part.high_90 - part.slots)
            stats = RunStats(part.slots, part.slots, part.slots, 1)
            both, what = f"{pair.topology} beside {pair.against}", f"slots apart, {name}"
            yield Figure(both, what, pair.planned_slots_more, stats, spread, margin=margin_slots)
