"""The report of a failover run, made again from its records: tables, loss matrix, the course of one fault."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from cli import UsageError
from experiments.__main__ import main
from experiments.experiment import write_report
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.metrics import DEFINITIONS
from experiments.failover.records import read_fault_runs
from experiments.failover.tables import loss_matrix, loss_table, scorecard_table
from experiments.failover.timeline import find_marks, select_courses, sentences
from experiments.results.store import RUN
from tests.unit.experiments.failover.hand_written import SETTINGS_HERE, summary_of, write_folder


def test_report_again_writes_the_same_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Summary, charts and page come from the records alone; the page refers to nothing outside."""
    folder = write_folder(tmp_path / "run", {"single": [40, 41], "2active": [0, 1], "3active": [1, 0]})
    write_report(EXPERIMENT, folder)
    names = ("summary.json", "report.html", "scorecard.svg", "timeline.svg")
    first = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    assert main(["report", str(folder)]) == 0
    assert {name: (folder / name).read_bytes() for name in names} == first
    assert "The scorecard" in capsys.readouterr().out
    page = first["report.html"].decode()
    assert re.findall(r'(?:src|href)="(?!data:)|url\(|<script|<link', page) == []
    for text in (*DEFINITIONS.values(), SETTINGS_HERE.command, "not decided"):
        assert text.replace("'", "&#39;") in page
    assert json.loads(first["summary.json"])["schema"] == "failover/1"


def test_loss_matrix_is_shaded_by_the_share_and_gives_it_in_words(tmp_path: Path) -> None:
    """A cell has the share, the counts and a shade that its legend names; where nothing was lost, the word none."""
    folder = write_folder(tmp_path / "run", {"single": [40, 30], "2active": [0, 0]})
    rows = {fault: cells for fault, _, cells in loss_matrix(summary_of(folder))}
    single, two = rows["crash"]
    assert single == ("35.0%\n70 of 200\n30-40 a run", "heat4")
    assert two == ("none\nof 200", "heat0")
    assert rows["region"] == [("skipped", "none")] * 2


def test_courses_show_a_crash_with_a_standby_beside_the_smallest_topology(tmp_path: Path) -> None:
    """Two topologies on the same axes: where requests are lost, and where a standby takes over."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [1], "3active": [0]})
    single, two = select_courses(summary_of(folder), read_fault_runs(folder))
    assert (single.topology, two.topology) == ("single", "2active")
    kinds = [mark.kind for mark in find_marks(two)]
    assert kinds == ["injected", "last lost", "ejected", "promoted", "repair", "readmitted", "demoted"]
    assert find_marks(single)[2].at_s == pytest.approx(3.0)
    assert sentences([single])[0].startswith("single, run 1: 40 of 100 requests lost, the router reacted after 0.10 s")


def test_tables_fit_80_columns(tmp_path: Path) -> None:
    """Three topologies with ranges over repeats fit a terminal."""
    folder = write_folder(tmp_path / "run", {"single": [40, 30], "2active": [0, 3], "3active": [0, 2]})
    summary = summary_of(folder)
    out = io.StringIO()
    Console(file=out, width=500).print(scorecard_table(summary), loss_table(summary))
    assert max(len(line.rstrip()) for line in out.getvalue().splitlines()) <= 80


def test_reading_a_folder_without_finished_run_is_a_users_mistake(tmp_path: Path) -> None:
    """Runs that were broken off have no run.json; a folder of such has nothing to report."""
    folder = write_folder(tmp_path / "run", {"single": [40]})
    (folder / "single-1" / RUN).unlink()
    with pytest.raises(UsageError, match="no run in it was finished"):
        write_report(EXPERIMENT, folder)
