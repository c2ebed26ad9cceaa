"""The report of a failover run: summary, charts and report.html, made from the records in the run folder alone."""

from pathlib import Path

from rich.console import Console

from experiments.cards import failover_cards
from experiments.folders import shown
from experiments.html import inline, render_page
from experiments.records import write_json
from experiments.scorecard import tables
from experiments.scorecard.charts import draw_scorecard, narrow_scorecard
from experiments.scorecard.records import LAYOUT, read_fault_runs, read_settings
from experiments.scorecard.summarize import summarize
from experiments.scorecard.summary import SUMMARY, Summary
from experiments.scorecard.timeline import Course, draw_timeline, sentences, shown_courses

REPORT = "report.html"


def make_report(folder: Path) -> Summary:
    """Compute the summary from the records in `folder`; write it there, with charts and report.html.

    Raises UsageError.
    """
    settings, runs = read_settings(folder), read_fault_runs(folder)
    summary = summarize(settings, runs)
    write_json(folder / SUMMARY, summary)
    (folder / REPORT).write_text(_render(summary, shown_courses(runs, settings), folder), encoding="utf-8")
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
        scorecard_chart=inline(draw_scorecard(summary, folder)),
        narrow_scorecard_chart=inline(narrow_scorecard(summary)),
        losses=tables.heat_matrix(summary),
        heats=tables.heats(),
        timeline_chart=inline(draw_timeline(courses, folder)) if courses else None,
        timeline_fault=courses[0].window.fault if courses else "",
        timeline_sentences=sentences(courses),
        layout=LAYOUT,
    )


def tell_report(summary: Summary, folder: Path, console: Console) -> None:
    """Print the tables, the finding, the verdicts and where the report is."""
    console.print()
    console.print(tables.scorecard_table(summary), tables.loss_table(summary))
    for sentence in summary.finding:
        console.print(sentence, highlight=False, markup=False)
    for verdict in summary.verdicts:
        text = f'The post: "{verdict.claim}": {verdict.verdict}. {verdict.sentence}'
        console.print(text, highlight=False, markup=False)
    console.print(f"\nReport: {shown(folder / REPORT)}", soft_wrap=True, highlight=False, markup=False)
