"""The report of a failover run, made again from its records: tables, loss matrix, the course of one fault."""

import dataclasses
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from cli import UsageError
from experiments.__main__ import main
from experiments.experiment import write_report
from experiments.failover.charts import bar_text, least_span
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.metrics import DEFINITIONS, METRIC
from experiments.failover.records import FaultRun, SteadyRequest, read_fault_runs
from experiments.failover.report import cards, page, summarize, tables
from experiments.failover.report import sentences as report_sentences
from experiments.failover.tables import impact_groups, loss_matrix, metric_label, pair_verdict, scorecard_rows
from experiments.failover.timeline import find_marks, select_courses, sentences, title_of
from experiments.failover.window_metrics import NUMBER, SECONDS
from experiments.results.statistics import aggregate
from experiments.results.store import REQUESTS, RUN
from experiments.theory.verdicts import Verdict
from tests.unit.experiments.failover.hand_written import (
    REGIONS,
    SETTINGS_HERE,
    fault_steps,
    request,
    summary_of,
    write_folder,
    write_rows,
)
from tests.unit.experiments.failover.test_pairs import PAIR

pytestmark = pytest.mark.usefixtures("no_answer")


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
    assert "What a fault costs" in capsys.readouterr().out
    page = first["report.html"].decode()
    assert re.findall(r'(?:src|href)="(?!data:)|url\(|<script|<link', page) == []
    for text in (*DEFINITIONS.values(), SETTINGS_HERE.command, "not decided"):
        assert text.replace("'", "&#39;") in page
    assert json.loads(first["summary.json"])["schema"] == "failover/2"


def test_loss_matrix_is_shaded_by_the_share_and_gives_it_in_words(tmp_path: Path) -> None:
    """A cell has the share, the counts and a shade that its legend names; where nothing was lost, the word none."""
    folder = write_folder(tmp_path / "run", {"single": [40, 30], "2active": [0, 0]})
    rows = {fault: cells for fault, _, cells in loss_matrix(summary_of(folder).loads[0], SETTINGS_HERE)}
    single, two = rows["crash"]
    assert single == ("35.0%\n70 of 200", "heat4")
    assert two == ("none\nof 200", "heat0")


@pytest.mark.parametrize(("offered", "cell"), [(3, "0.00%\n(0 of 3)"), (20, "0.00%")])
def test_a_share_of_few_requests_is_given_with_their_numbers(offered: int, cell: str, tmp_path: Path) -> None:
    """0 % of three requests says much less than 0 % of a hundred."""
    summary = summary_of(write_folder(tmp_path / "run", {"single": [40]}))
    [single] = summary.topologies
    window = dataclasses.replace(single.windows[0], fault="upgrade", offered=offered, lost=offered)
    figures = single.figures | {"planned_availability": aggregate([0.0])}
    summary = dataclasses.replace(
        summary, topologies=[dataclasses.replace(single, windows=[*single.windows, window], figures=figures)]
    )
    cells = {label: cell for (label, cell), _ in scorecard_rows(summary)}
    assert cells["Availability in planned outages"] == cell
    assert cells["Platform availability"] == "60.00%"


@pytest.mark.parametrize(("runs", "faults"), [(1, "1 fault does"), (2, "2 faults does")])
def test_what_nothing_lost_leaves_possible_counts_its_faults(runs: int, faults: str, tmp_path: Path) -> None:
    """One fault is none of several."""
    finding = " ".join(summary_of(write_folder(tmp_path / "run", {"2active": [0] * runs})).finding)
    assert f"None lost in {faults} not mean never" in finding


def test_a_small_figure_fills_no_panel_and_is_not_labelled_as_none() -> None:
    """A time of 4 ms stands on an axis of 0.1 s, to which times are measured, and has no 0.00 above it."""
    assert (least_span(SECONDS), least_span(NUMBER)) == (0.1, 1.0)
    assert [bar_text(height, 2) for height in (0.0, 0.004, 0.005, 0.01, 3.0)] == ["0", "<0.01", "0.01", "0.01", "3.00"]
    assert bar_text(0.04, 1) == "<0.1"


def test_courses_show_a_crash_with_a_standby_beside_the_smallest_topology(tmp_path: Path) -> None:
    """Two topologies on the same axes: where requests are lost, and where a standby takes over."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [1], "3active": [0]})
    [[single, two]] = select_courses(summary_of(folder), read_fault_runs(folder))
    assert (single.topology, two.topology) == ("single", "2active")
    kinds = [mark.kind for mark in find_marks(two)]
    assert kinds == ["injected", "last lost", "ejected", "promoted", "repair", "readmitted", "demoted"]
    assert find_marks(single)[2].at_s == pytest.approx(3.0)
    assert sentences([single])[0].startswith("single, run 1: 40 of 100 requests lost, none delayed, the router ")


def rename_faults(runs: list[FaultRun], fault: str) -> list[FaultRun]:
    """The runs as if that fault had been the one injected."""
    return [
        dataclasses.replace(run, actions=[dataclasses.replace(action, fault=fault) for action in run.actions])
        for run in runs
    ]


def test_course_of_the_control_is_never_drawn(tmp_path: Path) -> None:
    """Without a crash the next fault is shown; the control is none."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [1]})
    runs = read_fault_runs(folder)
    hang, control = rename_faults(runs, "hang"), rename_faults(runs, "none")
    assert select_courses(summarize(SETTINGS_HERE, control), control) == []
    [courses] = select_courses(summarize(SETTINGS_HERE, hang), hang)
    assert title_of(courses) == "hang"


@pytest.mark.parametrize("rate_per_s", [10.0, 50.0])
def test_tables_fit_80_columns(tmp_path: Path, rate_per_s: float) -> None:
    """Three topologies with ranges over repeats fit a terminal, overloaded or not."""
    lost = {"single": [40, 30], "2active": [0, 3], "3active": [0, 2]}
    folder = write_folder(tmp_path / "run", lost, rate_per_s=rate_per_s)
    out = io.StringIO()
    Console(file=out, width=500).print(*tables(summary_of(folder)))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    assert ("* overloaded: single refuses 21 % with everything up (load calm)" in lines) == (rate_per_s == 50)


def test_heads_of_the_first_table_are_explained_below_it(tmp_path: Path) -> None:
    """A terminal has no page of definitions: what stands in the columns is told once."""
    first, *others = tables(summary_of(write_folder(tmp_path / "run", {"single": [40], "2active": [0]})))
    assert "Below need, no reserve: time with fewer slots than the load needs" in str(first.caption)
    assert not any("Below need" in str(table.caption) for table in others)


def test_impact_table_gives_losses_with_the_invalid_windows_too(tmp_path: Path) -> None:
    """Where the generator was late by the size of an effect, both figures stand in the cell."""
    folder = write_folder(tmp_path / "run", {"single": [40, 40], "2active": [0, 0]})
    late = [request(k / 10, "down" if k < 80 else "", late_s=1.5) for k in range(80)]
    write_rows(folder / "single-1" / REQUESTS, SteadyRequest, late)
    summary = summary_of(folder)
    rows = {fault: cells for fault, _, cells in impact_groups(summary.loads[0], SETTINGS_HERE)}
    assert rows["crash"][0][1].startswith("40.0\n")
    assert rows["crash"][0][1].endswith(" with\n1 invalid")
    assert any("(with the 1 invalid window: " in sentence for sentence in summary.finding)


def test_capacity_names_its_own_service_time_and_no_region_that_is_not_there(tmp_path: Path) -> None:
    """Capacity is measured at another service time than faults; regions are spoken of where an entry names one."""
    summary = summary_of(write_folder(tmp_path / "run", {"single": [40]}))
    labels = [cells[0] for cells, _ in scorecard_rows(summary)]
    assert labels[:2] == ["Capacity all up, per s (1 s)", "Capacity one down, per s (1 s)"]
    regions = dataclasses.replace(summary.settings, topologies=[REGIONS])
    assert metric_label(METRIC["capacity_in_region_per_s"], regions) == "Capacity in region, per s (1 s)"


@pytest.mark.usefixtures("no_charts")
def test_report_of_one_run_says_once_that_it_decides_nothing(tmp_path: Path) -> None:
    """One sentence stands for all verdicts, and the page folds the differences; else each claim has its own."""
    for runs, folded in ((1, True), (4, False)):
        lost = {"2active": [0, 1, 0, 1][:runs], "3active": [1, 0, 1, 0][:runs]}
        folder = write_folder(tmp_path / str(runs), lost)
        write_report(EXPERIMENT, folder)
        told = report_sentences(summary_of(folder))
        assert sum("decides neither who is better" in each for each in told) == folded
        assert any(each.startswith("The post:") for each in told) != folded
        page = (folder / "report.html").read_text()
        assert ("<summary>Differences so far</summary>" in page) == folded


@pytest.mark.parametrize(
    ("verdict", "repeats", "more", "words"),
    [
        (Verdict.NOT_DECIDED, 1, 2, "not decided: too few repeats"),
        (Verdict.NOT_DECIDED, 5, 1, "not decided: 1 repeat more would do"),
        (Verdict.NOT_DECIDED, 5, 7, "not decided: 7 repeats more would do"),
        (Verdict.NOT_DECIDED, 5, None, "not decided: 1,000 repeats would not do"),
        (Verdict.EQUAL, 5, None, "equal within 0.50 requests"),
        (Verdict.WORSE, 5, None, "2active better"),
    ],
)
def test_verdict_on_a_pair_in_words(verdict: Verdict, repeats: int, more: int | None, words: str) -> None:
    """Who is better, within what they are equal, or what would decide."""
    pair = dataclasses.replace(PAIR, verdict=verdict, repeats=repeats, more_repeats=more)
    assert pair_verdict(pair) == words


@pytest.mark.usefixtures("no_charts")
def test_margins_of_a_report_judge_the_run_anew(tmp_path: Path) -> None:
    """`report` with another margin changes the verdicts of an old run, from its records alone."""
    folder = write_folder(tmp_path / "run", {"2active": [0, 1, 0, 1, 0], "3active": [1, 0, 1, 0, 1]})
    for margin, verdict in (("0.5", "not decided"), ("3", "equal")):
        assert main(["report", str(folder), "--margin-lost", margin]) == 0
        pairs = json.loads((folder / "summary.json").read_text())["pairs"]
        assert [pair["verdict"] for pair in pairs if pair["figure"] == "lost_per_fault"] == [verdict]


def test_reading_a_folder_without_finished_run_is_a_users_mistake(tmp_path: Path) -> None:
    """Runs that were broken off have no run.json; a folder of such has nothing to report."""
    folder = write_folder(tmp_path / "run", {"single": [40]})
    (folder / "single-1" / RUN).unlink()
    with pytest.raises(UsageError, match="no run in it was finished"):
        write_report(EXPERIMENT, folder)


def test_run_of_the_routers_own_faults_alone_calls_nothing_invalid_and_draws_no_empty_chart(tmp_path: Path) -> None:
    """The cards say that no fault of a predictor was measured, the post's metrics are left out, no operator acted."""
    folder = write_folder(tmp_path / "run", {"2active": [0]})
    settings = dataclasses.replace(SETTINGS_HERE, topologies=SETTINGS_HERE.topologies[1:2])
    [run] = read_fault_runs(folder)
    of_router = dataclasses.replace(run, actions=fault_steps("router restart", "router"))
    summary = summarize(settings, [of_router])
    [card] = cards(summary)
    assert (card.figure, card.unit) == ("-", "no fault of a predictor was measured")
    assert [table.title for table in tables(summary)] == ["What a fault costs, load calm (10 requests/s)"]
    [[course]] = select_courses(summary, [of_router])
    assert [(mark.kind, mark.target) for mark in find_marks(course) if mark.kind in ("next", "repair")] == [
        ("next", "")
    ]
    assert "six metrics" not in page(summary, [of_router], tmp_path)
