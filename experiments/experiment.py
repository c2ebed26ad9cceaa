"""From a run to its report: what every experiment does in the same way. What a report says is the experiment's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import CommandError
from experiments.results.folders import display_path
from experiments.results.store import SETTINGS, write_json

SUMMARY = "summary.json"
REPORT = "report.html"


@dataclass(frozen=True)
class Reporter:
    """How an experiment reports: `make` reads a run folder's records and writes the report, `tell` prints of it."""

    make: Callable[[Path], Any]
    """Run folder -> summary. Raises UsageError."""
    tell: Callable[[Any, Console], None]
    """Prints a summary: tables and findings."""


def run_experiment(
    settings: object, run: Callable[[], None], folder: Path, reporter: Reporter, console: Console
) -> None:
    """Do a whole experiment: settings, runs, report. Raises CommandError, when what there is has been named."""
    write_json(folder / SETTINGS, settings)
    try:
        run()
    except CommandError:
        console.print(f"Records so far: {display_path(folder)}", soft_wrap=True)
        raise
    report_on(folder, reporter, console)


def report_on(folder: Path, reporter: Reporter, console: Console) -> None:
    """Make the report of a run folder from its records, print what it says and where it is. Raises UsageError."""
    with console.status("computing the figures and drawing the charts"):
        summary = reporter.make(folder)
    console.print()
    reporter.tell(summary, console)
    console.print(f"\nReport: {display_path(folder / REPORT)}", soft_wrap=True, highlight=False, markup=False)


def write_report(summary: object, page: str, folder: Path) -> None:
    """Leave a summary and its page in the run folder."""
    write_json(folder / SUMMARY, summary)
    (folder / REPORT).write_text(page, encoding="utf-8")


def print_sentences(sentences: Sequence[str], console: Console) -> None:
    """Print them, a line or more each."""
    for sentence in sentences:
        console.print(sentence, highlight=False, markup=False)
