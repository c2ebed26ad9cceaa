"""`python -m experiments report`: makes summary, charts and report.html from the records of a run folder alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments import blocking_report, tables
from experiments.blocking_records import BLOCKING
from experiments.cards import compare_cards
from experiments.charts import draw_rates, draw_timeline
from experiments.errors import UsageError
from experiments.findings import pace
from experiments.html import inline, render_page
from experiments.options import OneLineParser
from experiments.post import WHY_THEY_DIFFER
from experiments.records import LAYOUT, RunRecords, read_experiment, read_runs, read_settings, write_json
from experiments.scorecard import report as scorecard
from experiments.scorecard.records import FAILOVER
from experiments.summarize import summarize
from experiments.summary import SUMMARY, Summary, TopologySummary

REPORT = "report.html"


def main(arguments: Sequence[str], console: Console) -> None:
    """Run the command. Raises ExperimentError."""
    parser = OneLineParser(
        prog="python -m experiments report",
        description="Make summary.json, charts and report.html again from the records in a run folder.",
        epilog="example: python -m experiments report results/20250131-142500",
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, help="the run folder")
    folder: Path = parser.parse_args(arguments).folder
    make, tell = _maker(read_experiment(folder))
    with console.status("computing the figures and drawing the charts"):
        summary = make(folder)
    tell(summary, folder, console)


def _maker(experiment: str) -> tuple[Callable[[Path], Any], Callable[[Any, Path, Console], None]]:
    """What makes an experiment's report, and what tells of it."""
    known: dict[str, Any] = {
        FAILOVER: (scorecard.make_report, scorecard.tell_report),
        BLOCKING: (blocking_report.make_report, blocking_report.tell_report),
    }
    maker: tuple[Any, Any] = known.get(experiment, (make_report, tell_report))
    return maker


def make_report(folder: Path) -> Summary:
    """Compute the summary from the records in `folder`; write it there, with charts and report.html."""
    settings = read_settings(folder)
    runs = read_runs(folder)
    if not runs:
        raise UsageError(f"{folder}: no run in it was finished, so there is nothing to report")
    summary = summarize(settings, runs)
    write_json(folder / SUMMARY, summary)
    charts = [draw_rates(summary, folder)]
    timelines = {
        topology.topology: draw_timeline(shown_run(topology, runs), list(topology.roles), folder)
        for topology in summary.topologies
    }
    (folder / REPORT).write_text(render(summary, charts[0], timelines), encoding="utf-8")
    return summary


def tell_report(summary: Summary, folder: Path, console: Console) -> None:
    """Print the finding, the two tables and where the report is."""
    console.print()
    console.print(tables.rates_table(summary), tables.loads_table(summary))
    for sentence in summary.finding:
        console.print(sentence, highlight=False, markup=False)
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    console.print(f"\nReport: {shown / REPORT}", soft_wrap=True, highlight=False, markup=False)


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


def render(summary: Summary, rates: Path, timelines: dict[str, Path]) -> str:
    """The report as one HTML text with its charts inside; it refers to nothing outside."""
    return render_page(
        "compare.html",
        title="Topologies compared",
        cards=compare_cards(summary),
        summary=summary,
        settings=summary.settings,
        pace=pace(summary.settings),
        tables=tables,
        rates_chart=inline(rates),
        timelines={name: inline(path) for name, path in timelines.items()},
        why_they_differ=WHY_THEY_DIFFER,
        nothing_failed=any(run.first_failure is None for each in summary.topologies for run in each.runs),
        layout=LAYOUT,
    )
