"""The report of a failover run: summary, charts and report.html, made from the records in the run folder alone."""

from functools import partial
from pathlib import Path

from rich.console import Console

from experiments.compare.charts import draw_both
from experiments.experiment import Reporter, print_sentences, write_report
from experiments.failover import tables
from experiments.failover.charts import SCORECARD, draw_scorecard
from experiments.failover.records import LAYOUT, read_fault_runs, read_settings
from experiments.failover.summarize import summarize
from experiments.failover.summary import Summary
from experiments.failover.timeline import TIMELINE, Course, draw_timeline, sentences, shown_courses
from experiments.page.cards import failover_cards
from experiments.page.page import render_page


def make_report(folder: Path) -> Summary:
    """Compute the summary from the records in `folder`; write it there, with charts and report.html.

    Raises UsageError.
    """
    settings, runs = read_settings(folder), read_fault_runs(folder)
    summary = summarize(settings, runs)
    write_report(summary, _render(summary, shown_courses(runs, settings), folder), folder)
    return summary


def _render(summary: Summary, courses: list[Course], folder: Path) -> str:
    """Draw the charts into the folder, and make the page with them inside."""
    return render_page(
        "failover.html",
        title="The high-availability scorecard",
        cards=failover_cards(summary),
        summary=summary,
        settings=summary.settings,
        tables=tables,
        scorecard=tables.scorecard_with_claims(summary),
        scorecard_chart=draw_both(partial(draw_scorecard, summary), folder / SCORECARD),
        losses=tables.heat_matrix(summary),
        heats=tables.heats(),
        timeline_chart=draw_both(partial(draw_timeline, courses), folder / TIMELINE) if courses else None,
        timeline_fault=courses[0].window.fault if courses else "",
        timeline_sentences=sentences(courses),
        layout=LAYOUT,
    )


def print_summary(summary: Summary, console: Console) -> None:
    """Print the tables, the finding and the verdicts."""
    console.print(tables.scorecard_table(summary), tables.loss_table(summary))
    print_sentences(summary.finding, console)
    verdicts = [f'The post: "{each.claim}": {each.verdict}. {each.sentence}' for each in summary.verdicts]
    print_sentences(verdicts, console)


REPORTER = Reporter(make_report, print_summary)
