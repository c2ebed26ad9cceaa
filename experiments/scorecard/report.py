"""The report of a failover run: summary, charts and report.html, made from the records in the run folder alone."""

from pathlib import Path

from rich.console import Console

from experiments.faults import FAULTS
from experiments.folders import shown
from experiments.html import inline, render_page
from experiments.records import write_json
from experiments.scorecard import tables
from experiments.scorecard.charts import draw_scorecard, draw_timeline, shown_window
from experiments.scorecard.records import LAYOUT, read_fault_runs, read_settings
from experiments.scorecard.summary import SUMMARY, Summary, summarize

REPORT = "report.html"


def make_report(folder: Path) -> Summary:
    """Compute the summary from the records in `folder`; write it there, with charts and report.html.

    Raises UsageError.
    """
    settings, runs = read_settings(folder), read_fault_runs(folder)
    summary = summarize(settings, runs)
    write_json(folder / SUMMARY, summary)
    scorecard = draw_scorecard(summary, folder)
    course = shown_window(runs, settings)
    timeline = draw_timeline(*course, settings, folder) if course else None
    page = render_page(
        "failover.html",
        summary=summary,
        settings=settings,
        tables=tables,
        scorecard_chart=inline(scorecard),
        timeline_chart=inline(timeline) if timeline else None,
        timeline_of=(course[0].run, course[1]) if course else None,
        faults={name: FAULTS[name].what for name in settings.faults},
        layout=LAYOUT,
    )
    (folder / REPORT).write_text(page, encoding="utf-8")
    return summary


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
