"""What a failover run comes to: summary, tables, page and the figures that two runs are compared by."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rich.table import Table

from experiments.experiment import Figure
from experiments.failover import tables as failover_tables
from experiments.failover.claims import judge_claims
from experiments.failover.findings import findings
from experiments.failover.metrics import DEFINITIONS, LABELS, METRICS
from experiments.failover.records import LAYOUT, FailoverSettings, FaultRun
from experiments.failover.summary import FailoverSummary, TopologyScorecard, measure_runs, score_topologies
from experiments.page.page import Card, draw_both, render_page
from experiments.page.text import describe_layout, median_text
from experiments.results.statistics import RunStats, aggregate


def summarize(settings: FailoverSettings, runs: Sequence[FaultRun]) -> FailoverSummary:
    """Computes summary.json: the figures of every topology with a finished run, and what they say."""
    measured = measure_runs(settings, runs)
    topologies = score_topologies(settings, measured)
    pooled = frozenset[str]().union(*(run.pooled for run in measured))
    sentences = findings(settings, topologies, pooled)
    return FailoverSummary("failover/1", sentences, settings, topologies, judge_claims(topologies), DEFINITIONS)


def tables(summary: FailoverSummary) -> list[Table]:
    """The scorecard, and requests lost per fault."""
    return [failover_tables.scorecard_table(summary), failover_tables.loss_table(summary)]


def sentences(summary: FailoverSummary) -> list[str]:
    """The finding, then the verdicts on the post's claims."""
    verdicts = [f'The post: "{each.claim}": {each.verdict}. {each.sentence}' for each in summary.verdicts]
    return [*summary.finding, *verdicts]


def cards(summary: FailoverSummary) -> list[Card]:
    """What faults cost each topology."""
    return [_card(topology) for topology in summary.topologies]


def _card(topology: TopologyScorecard) -> Card:
    figures = topology.figures
    facts = [
        ("lost per fault", median_text(figures["lost_per_fault"], "{:.1f} requests")),
        ("planned slots back, at worst", median_text(figures["recovery_s"], "{:.1f} s")),
        ("router reacts, at worst", median_text(figures["response_s"], "{:.1f} s")),
        ("answered during upgrades", median_text(figures["planned_availability"], "{:.1%}")),
    ]
    if figures["capacity_in_region_per_s"] is not None:
        facts.append(("first failure at", median_text(figures["capacity_in_region_per_s"], "{:.1f} requests/s")))
    return Card(
        name=topology.topology,
        what=describe_layout(topology.roles, topology.slots),
        figure=median_text(figures["availability"], "{:.2%}"),
        unit=f"of requests answered while faults struck{_range(figures['availability'])}",
        facts=facts,
    )


def _range(share: RunStats | None) -> str:
    """The range of the runs, where there are several: a median alone would be taken for more than it is."""
    if share is None or share.count == 1:
        return ""
    return f", median of {share.count} runs ({share.low:.2%} to {share.high:.2%})"


def page(summary: FailoverSummary, runs: Sequence[FaultRun], folder: Path) -> str:
    """Draws the charts into the folder and makes the page, which refers to nothing outside."""
    from experiments.failover import charts, timeline  # matplotlib takes half a second to load

    courses = timeline.select_courses(summary, runs)
    drawn = draw_both(partial(timeline.draw_timeline, courses), folder / timeline.TIMELINE) if courses else None
    return render_page(
        Path(__file__).with_name("page.html"),
        summary,
        labels=LABELS,
        title="The high-availability scorecard",
        cards=cards(summary),
        tables=failover_tables,
        scorecard_chart=draw_both(partial(charts.draw_scorecard, summary), folder / charts.SCORECARD),
        timeline_chart=drawn,
        timeline_fault=courses[0].window.fault if courses else "",
        timeline_sentences=timeline.sentences(courses),
        layout=LAYOUT,
    )


def figures(summary: FailoverSummary) -> list[Figure]:
    """The scorecard's figures, and the requests lost in each fault, of each topology."""
    return [figure for topology in summary.topologies for figure in _figures(topology)]


def _figures(topology: TopologyScorecard) -> Iterator[Figure]:
    for metric in METRICS:
        stats = topology.figures[metric.name]
        if stats is not None and metric.form.is_percent:
            percent = RunStats(100 * stats.median, 100 * stats.low, 100 * stats.high, stats.count)
            yield Figure(topology.topology, f"{metric.label}, %", topology.slots, percent, decimals=2)
        elif stats is not None:
            yield Figure(topology.topology, metric.label.strip(), topology.slots, stats)
    for fault in topology.faults:
        values = [window.lost for window in topology.valid_windows(fault)]
        if (lost := aggregate(values)) is not None:
            yield Figure(topology.topology, f"lost: {fault}", topology.slots, lost, values=values)
