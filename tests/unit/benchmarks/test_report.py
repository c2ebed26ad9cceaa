"""A run's tables, and the part of a document that a command writes."""

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.contenders import NAIVE, ROUTER
from benchmarks.records import RunFolder, Target
from cli import UsageError
from tests.unit.benchmarks.test_figures import measurement

ROWS = (
    "| requests.Session | 1,500 |",
    "| router |  | 2,000 |",
    "| naive |  | 5.0 |  |",
    "Not measured in this run: ray serve: ray is not installed.",
    "| memory | +0.10 MiB | flat | yes | `python -m benchmarks memory` |",
    "| 5.0 | at least 4 | yes |",
    "cores",
)


def test_markdown_of_a_run_holds_machine_rates_targets_and_who_was_skipped(tmp_path: Path) -> None:
    """The tables come from the records alone, so any run can be reported again."""
    folder = RunFolder.make(tmp_path / "run")
    folder.note("skipped", "ray serve", "ray is not installed")
    for one in (measurement(ROUTER, 2000), measurement(NAIVE, 400)):
        folder.add(one)
    folder.add_target(Target("memory", "+0.10 MiB", "flat", True, "python -m benchmarks memory"))
    folder.add_way("requests.Session", 1, 1500.0)
    text = report.markdown(RunFolder(tmp_path / "run"))
    assert [row for row in ROWS if row not in text] == []


def test_report_replaces_the_generated_part_and_nothing_else(tmp_path: Path) -> None:
    """What people wrote around the tables stays; a document without the marks is left alone."""
    document = tmp_path / "performance.md"
    begin = f"{report.BEGIN}python -m benchmarks report -->"
    document.write_text(f"before\n{begin}\nold\n{report.END}\nafter\n")
    report.replace_generated(document, "new")
    assert document.read_text() == f"before\n{begin}\n\nnew\n{report.END}\nafter\n"
    document.write_text("nothing")
    with pytest.raises(UsageError, match="marks"):
        report.replace_generated(document, "new")
