"""What a comparison comes to: summary, tables, page and the figures that two runs are compared by."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rich.table import Table

from experiments.compare import blog_post
from experiments.compare import tables as comparison_tables
from experiments.compare.charts import draw_rates, draw_timeline
from experiments.compare.figures import DEFINITIONS, LABELS
from experiments.compare.findings import findings, pace, pair_verdict
from experiments.compare.records import LAYOUT, CompareSettings, RunRecords
from experiments.compare.summary import (
    RATE,
    SCHEMA_NAME,
    ComparisonSummary,
    TopologyFigures,
    compare_topologies,
    summarize_topologies,
)
from experiments.experiment import Figure
from experiments.page.page import Card, Chart, draw_both, render_page
from experiments.page.text import NONE, describe_layout, median_text
from experiments.results.statistics import aggregate

RATES_CHART = "rates.svg"


def summarize(settings: CompareSettings, runs: Sequence[RunRecords]) -> ComparisonSummary:
    """Computes summary.json: the figures of every topology, and the findings."""
    topologies = summarize_topologies(settings, runs)
    pairs = [pair_verdict(pair) for pair in compare_topologies(settings, topologies)]
    return ComparisonSummary(
        SCHEMA_NAME, findings(settings, topologies, pairs), settings, topologies, pairs, DEFINITIONS
    )


def tables(summary: ComparisonSummary) -> list[Table]:
    """The post's two tables, and between them what its first figure is not."""
    planning = [] if summary.settings.why_no_theory else [comparison_tables.planning_table(summary)]
    return [comparison_tables.rates_table(summary), *planning, *comparison_tables.loads_tables(summary)]


def sentences(summary: ComparisonSummary) -> list[str]:
    """The finding."""
    return summary.finding


def _card(topology: TopologyFigures) -> Card:
    """The rate at first failure of a topology."""
    theory, post = topology.theory.rate_per_s, topology.post.rate_at_failure_per_s
    form = comparison_tables.rate_form(topology)
    measured = topology.rate_at_first_failure_per_s
    rate, unit = NONE if measured is None else form(measured.median), "requests/s at the first failure"
    facts = [
        ("theory, 90 % of runs", NONE if theory is None else f"{form(theory.p5)} to {form(theory.p95)}"),
        ("refused if held there", comparison_tables.refused_cell(topology)),
        ("0.1 % refused at, theory", comparison_tables.budget_cell(topology)),
        ("users by then", median_text(topology.users, "{:.0f}")),
        ("cause", ", ".join(topology.causes) or "no failure"),
    ]
    if post is not None:
        facts.append(("in the post", f"{post:.1f}"))
    if topology.failed_at_once:
        rate, unit = "at once", "too soon to tell a rate"
    elif len(topology.runs) > 1:
        unit += ", median of the runs"
    return Card(topology.topology, describe_layout(topology.roles, topology.slots), rate, unit, facts)


def page(summary: ComparisonSummary, runs: Sequence[RunRecords], folder: Path) -> str:
    """Draws the charts into the folder and makes the page, which refers to nothing outside."""

    def timeline(topology: TopologyFigures) -> Chart:
        run = shown_run(topology, runs)
        draw = partial(draw_timeline, run, list(topology.roles))
        return draw_both(draw, folder / f"timeline-{run.folder.name}.svg")

    return render_page(
        Path(__file__).with_name("page.html"),
        summary,
        labels=LABELS,
        title="Topologies compared",
        cards=[_card(topology) for topology in summary.topologies],
        pace=pace(summary.settings),
        tables=comparison_tables,
        rates_chart=draw_both(partial(draw_rates, summary), folder / RATES_CHART),
        timelines={each.topology: timeline(each) for each in summary.topologies},
        why_they_differ=blog_post.WHY_THEY_DIFFER,
        nothing_failed=any(run.first_failure is None for each in summary.topologies for run in each.runs),
        layout=LAYOUT,
    )


def shown_run(topology: TopologyFigures, runs: Sequence[RunRecords]) -> RunRecords:
    """The run whose course is drawn: the one whose rate at first failure is nearest to the median."""
    rate = topology.rate_at_first_failure_per_s
    distance = {
        run.repeat: abs(run.first_failure.rate_at_first_failure_per_s - rate.median)
        for run in topology.runs
        if run.first_failure is not None and rate is not None
    }
    repeat = min(distance, key=lambda key: distance[key]) if distance else topology.runs[0].repeat
    return next(r for r in runs if r.run.topology == topology.topology and r.run.repeat == repeat)


def figures(summary: ComparisonSummary) -> Iterator[Figure]:
    """Rate, users and time at the first failure, and latency, of each topology."""
    for topology in summary.topologies:
        theory = topology.theory
        failures = [run.first_failure for run in topology.runs if run.first_failure is not None]
        latencies_s = [run.median_latency_s for run in topology.runs if run.median_latency_s is not None]
        for name, values, spread in (
            (RATE, [each.rate_at_first_failure_per_s for each in failures if not each.is_at_once], theory.rate_per_s),
            ("users at first failure", [failure.users for failure in failures], theory.users),
            ("time to it, s", [failure.time_s for failure in failures], theory.time_s),
            ("median latency, s", latencies_s, None),
        ):
            if (stats := aggregate(values)) is not None:
                known = spread if topology.saturated else None
                yield Figure(topology.topology, name, topology.slots, stats, known, values=values)
