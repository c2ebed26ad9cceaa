"""What a comparison comes to: summary.json, tables, charts and report.html, from its records alone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from cli import UsageError
from experiments.compare import tables
from experiments.compare.blog_post import WHY_THEY_DIFFER
from experiments.compare.charts import RATES, draw_both, draw_rates, draw_timeline
from experiments.compare.findings import pace
from experiments.compare.records import LAYOUT, RunRecords, read_runs, read_settings
from experiments.compare.summarize import summarize
from experiments.compare.summary import Summary, TopologySummary
from experiments.experiment import Reporter, print_sentences, write_report
from experiments.page.cards import compare_cards
from experiments.page.page import Chart, render_page


def make_report(folder: Path) -> Summary:
    """Compute the summary from the records in `folder`; write it there, with charts and report.html."""
    settings = read_settings(folder)
    runs = read_runs(folder)
    if not runs:
        raise UsageError(f"{folder}: no run in it was finished, so there is nothing to report")
    summary = summarize(settings, runs)
    rates = draw_both(partial(draw_rates, summary), folder / RATES)
    timelines = {each.topology: _draw_course(shown_run(each, runs), each, folder) for each in summary.topologies}
    write_report(summary, render(summary, rates, timelines), folder)
    return summary


def _draw_course(run: RunRecords, topology: TopologySummary, folder: Path) -> Chart:
    return draw_both(partial(draw_timeline, run, list(topology.roles)), folder / f"timeline-{run.folder.name}.svg")


def print_summary(summary: Summary, console: Console) -> None:
    """Print the two tables and the finding."""
    console.print(tables.rates_table(summary), tables.loads_table(summary))
    print_sentences(summary.finding, console)


REPORTER = Reporter(make_report, print_summary)


def shown_run(topology: TopologySummary, runs: Sequence[RunRecords]) -> RunRecords:
    """The run whose course is drawn: the one whose rate at first failure is nearest to the median."""
    rate = topology.rate_at_first_failure_per_s
    distance = {
        run.repeat: abs(run.first_failure.rate_at_first_failure_per_s - rate.median)
        for run in topology.runs
        if run.first_failure is not None and rate is not None
    }
    repeat = min(distance, key=lambda key: distance[key]) if distance else topology.runs[0].repeat
    return next(r for r in runs if r.run.topology == topology.topology and r.run.repeat == repeat)


def render(summary: Summary, rates: Chart, timelines: dict[str, Chart]) -> str:
    """The report as one HTML text with its charts inside; it refers to nothing outside."""
    return render_page(
        "compare.html",
        title="Topologies compared",
        cards=compare_cards(summary),
        summary=summary,
        settings=summary.settings,
        pace=pace(summary.settings),
        tables=tables,
        rates_chart=rates,
        timelines=timelines,
        why_they_differ=WHY_THEY_DIFFER,
        nothing_failed=any(run.first_failure is None for each in summary.topologies for run in each.runs),
        layout=LAYOUT,
    )
