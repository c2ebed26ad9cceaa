"""Summary, tables, charts and report from a hand-written run folder."""

import dataclasses
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from experiments.__main__ import main
from experiments.compare import records as compare_records
from experiments.compare.blog_post import PostFigures
from experiments.compare.charts import draw_rates
from experiments.compare.experiment import EXPERIMENT, make_parser
from experiments.compare.figures import DEFINITIONS
from experiments.compare.findings import pace as pace_of
from experiments.compare.records import CompareRun, CompareSettings, FirstFailure, SwarmRequest
from experiments.compare.report import shown_run, summarize
from experiments.compare.summary import ComparisonSummary
from experiments.compare.tables import loads_tables, planning_cells, planning_table, rate_cells, rates_table, run_rows
from experiments.experiment import print_summary, write_report
from experiments.options import Margins
from experiments.page.charts import new_figure, note_at
from experiments.page.page import NARROW, WIDE, Sheet
from experiments.results import store
from experiments.results.records import LOAD_AVERAGE, LoadSample, PayloadRecord, TopologyPlan
from experiments.theory.erlang import erlang_b
from tests.frozen.produce import page_text
from tests.harness.charts import empty_charts
from tests.harness.project import ROOT
from tests.unit.experiments.results.test_store import write_rows

START_S = 1_700_000_000.0
NAMES = ("predict1", "predict2", "predict3")
PLANS = [
    TopologyPlan("single", {"predict1": 10}, {"predict1": "active"}),
    TopologyPlan("2active", dict.fromkeys(NAMES, 10), dict.fromkeys(NAMES, "active") | {"predict3": "standby"}),
    TopologyPlan("3active", dict.fromkeys(NAMES, 10), dict.fromkeys(NAMES, "active")),
]
SETTINGS = CompareSettings(
    experiment="compare",
    command="python -m experiments compare --topologies single,2active,3active",
    started_at="2025-01-31T14:25:00+00:00",
    topologies=PLANS,
    repeats=1,
    spawn_rate_per_s=1.0,
    wait_s=[1.0, 5.0],
    service_time_s=1.0,
    threshold=10,
    run_time_s=190,
    users_limit=190,
    machine={"processor": "a <fast> one", "cores": "2"},
    versions={"python": "3.11.9"},
)


def write_run(
    folder: Path, plan: TopologyPlan, rate_per_s: float | None, cause: str = "saturated", repeat: int = 1
) -> None:
    """One run of 20 s with a request every second, that failed at this rate, or not at all."""
    run = folder / f"{plan.name}-{repeat}"
    run.mkdir(parents=True)
    good = {"latency_s": 1.0, "method": "GET", "status": 200, "reason": "", "predictor": "predict1"}
    write_rows(run / store.REQUESTS, *(SwarmRequest(sent_at_s=START_S + k, users=k + 1, **good) for k in range(20)))
    samples = [
        LoadSample(START_S + k, name, plan.roles[name] == "active", k // 2, capacity, "serving", k, 0)
        for k in range(20)
        for name, capacity in plan.capacities.items()
    ]
    write_rows(run / store.LOADS, *samples)
    if rate_per_s is not None:
        loads = {name: {"load": 9, "peak_load": 10, "capacity": 10, "status": True} for name in plan.capacities}
        failure = FirstFailure(
            START_S + 20, 20.0, 20, rate_per_s, 10.0, round(rate_per_s * 10), cause, 503, plan.name, loads
        )
        store.write_json(run / store.FIRST_FAILURE, failure)
    store.write_json(run / store.EVENTS, [])
    outcome = compare_records.NO_FAILURE if rate_per_s is None else compare_records.FIRST_FAILURE_SEEN
    store.write_json(run / store.RUN, CompareRun(plan.name, repeat, outcome, START_S - 2, START_S + 21))


def write_folder(folder: Path, rates_per_s: dict[str, list[float | None]], cause: str = "saturated") -> Path:
    """A run folder with these rates at first failure per topology; None: nothing failed."""
    repeats = max(len(rates) for rates in rates_per_s.values())
    folder.mkdir()
    store.write_json(folder / store.SETTINGS, dataclasses.replace(SETTINGS, repeats=repeats))
    for plan in PLANS:
        for repeat, rate in enumerate(rates_per_s.get(plan.name, []), start=1):
            write_run(folder, plan, rate, cause, repeat)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A comparison as it should come out."""
    return write_folder(tmp_path / "run", {"single": [5.7], "2active": [22.4], "3active": [20.1]})


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison with its report made; not to be changed by a test."""
    folder = write_folder(tmp_path_factory.mktemp("reported") / "run", {"single": [5.7], "3active": [20.1]})
    write_report(EXPERIMENT, folder)
    return folder


def summary_of(folder: Path) -> ComparisonSummary:
    """The summary without charts and report."""
    return summarize(store.read_record(CompareSettings, folder / store.SETTINGS), compare_records.read_runs(folder))


def test_summary_sets_figures_beside_theory_and_post(folder: Path) -> None:
    """Each topology has its measured rate, theory's range, whether the one lies in the other, and the post's figure."""
    single, two, three = summary_of(folder).topologies
    assert single.rate_at_first_failure_per_s is not None
    assert (single.rate_at_first_failure_per_s.median, single.post.rate_at_failure_per_s) == (5.7, 5.2)
    assert single.theory.rate_per_s is not None
    assert single.theory.rate_per_s.contains(5.7)
    assert single.theory.rate_per_s.median == pytest.approx(5.8, abs=0.2)
    assert two.theory.rate_per_s == three.theory.rate_per_s
    assert (single.runs_inside_theory, two.runs_inside_theory) == (1, 1)
    assert two.post.loads == {"predict1": 10, "predict2": 10, "predict3": 9}


def test_payload_and_how_the_service_time_comes_about_are_told(folder: Path) -> None:
    """In the finding and among the page's settings; the post's figures are of other requests."""
    settings = store.read_record(CompareSettings, folder / store.SETTINGS)
    payload = PayloadRecord("large.json", 500_000, "0123456789abcdef" * 4)
    sent = dataclasses.replace(settings, payload=payload, service_time_per_mb_s=1.0)
    store.write_json(folder / store.SETTINGS, sent)
    with empty_charts():
        summary = write_report(EXPERIMENT, folder)
    pace = "service time 1 s for large.json, 500,000 bytes (0.5 s and 1 s per MB)"
    assert f"Measured at 1 new user/s, a wait of 1 to 5 s, {pace}." in summary.finding
    assert {each.post.rate_at_failure_per_s for each in summary.topologies} == {None}
    assert not summary.has_post
    page = page_text((folder / "report.html").read_text())
    assert "Payload large.json, 500,000 bytes (SHA-256 0123456789abcdef), POSTed by every user" in page
    assert "Service time 1 s: 0.5 s, and 0.5 s for the payload, at 1 s per MB (1,000,000 bytes)" in page
    alone = pace_of(dataclasses.replace(sent, service_time_per_mb_s=0.0))
    assert alone.endswith("service time 1 s for large.json, 500,000 bytes")


def test_summary_of_single_runs_gives_no_ranking(folder: Path) -> None:
    """What differs by chance only is not decided, and the finding says so in so many words."""
    finding = " ".join(summary_of(folder).finding)
    assert "Not decided: 2active and 3active (the same 30 slots): 22.4 and 20.1 requests/s, 2.3 apart" in finding
    assert "this is no ranking" in finding
    assert "All 3 runs lie inside" in finding
    assert finding.startswith(
        "The first request failed for single at 5.7, 2active at 22.4 and 3active at 20.1 requests/s"
    )
    assert "Measured at the post's pace (1 new user/s" in finding


def test_no_rate_to_plan_with_lies_above_the_rate_at_which_a_topology_failed(tmp_path: Path) -> None:
    """Theory's figure is given for those alone that failed above it; of another it is said why there is none."""
    summary = summary_of(write_folder(tmp_path / "run", {"single": [2.5], "2active": [22.4]}))
    assert summary.finding[1].endswith("To plan with: 0.1 % are refused at 16.7 (2active) requests/s.")
    assert summary.finding[2] == (
        "No figure to plan with for single: it failed at 2.5 requests/s, below the 3.1 at which theory refuses 0.1 %; "
        "repeat (--repeats 5)."
    )
    assert [planning_cells(each)[-1] for each in summary.topologies] == ["-", "16.7"]


def test_where_none_has_a_rate_to_plan_with_none_is_offered(tmp_path: Path) -> None:
    """The sentence that begins `To plan with` is left out whole."""
    summary = summary_of(write_folder(tmp_path / "run", {"single": [2.5]}))
    assert not any("To plan with" in sentence for sentence in summary.finding)


def test_a_rate_outside_by_less_than_a_digit_is_shown_with_another(tmp_path: Path) -> None:
    """Rounded alike, `9.1, theory 2.8 to 9.1, inside: no` would look like a mistake."""
    [single] = summary_of(write_folder(tmp_path / "a", {"single": [5.7]})).topologies
    assert single.theory.rate_per_s is not None
    rate = round(single.theory.rate_per_s.p95, 1) + 0.04
    [outside] = summary_of(write_folder(tmp_path / "b", {"single": [rate]})).topologies
    cells = rate_cells(outside)
    assert cells[3] == "no"
    assert (cells[1], cells[2].split("-")[1]) == (f"{rate:.2f}", f"{single.theory.rate_per_s.p95:.2f}")
    assert run_rows(outside)[0][1] == f"{rate:.2f}"
    assert rate_cells(single)[1] == "5.7"


@pytest.mark.parametrize(
    ("load", "told"),
    [("3.79, 2.34, 2.51", " The machine was busy when they began: its load average was 3.79 on 2 cores."),
     ("1.90, 2.34, 2.51", "")],
)  # fmt: skip
def test_runs_outside_on_a_busy_machine_say_so(load: str, told: str, tmp_path: Path) -> None:
    """A load average above the cores is the first cause to look at; below them it is none."""
    folder = write_folder(tmp_path / "run", {"single": [15.0]})
    settings = store.read_record(CompareSettings, folder / store.SETTINGS)
    machine = settings.machine | {LOAD_AVERAGE: load}
    store.write_json(folder / store.SETTINGS, dataclasses.replace(settings, machine=machine))
    [sentence] = [each for each in summary_of(folder).finding if "outside the range" in each]
    assert sentence.endswith(f"look for a slow generator or a lost slot first.{told}")


def test_summary_says_that_the_rate_at_first_failure_is_none_to_run_at(folder: Path) -> None:
    """Beside it stands what would be refused there, and the rate at which 0.1 % are, by Erlang's B formula."""
    summary = summary_of(folder)
    single, *_, three = summary.topologies
    assert single.refused_share_if_held == pytest.approx(erlang_b(10, 5.7), abs=1e-5)
    assert three.refused_share_if_held == pytest.approx(erlang_b(30, 20.1), abs=1e-5)
    assert (single.rate_at_budget_per_s, three.rate_at_budget_per_s) == (3.092, 16.684)
    assert summary.finding[1].startswith("The rate at first failure is no rate to run at")
    assert "3.4 % (single)" in summary.finding[1]
    assert "at 3.1 (single), 16.7 (2active) and 16.7 (3active) requests/s" in summary.finding[1]
    out = io.StringIO()
    Console(file=out, width=80).print(planning_table(summary))
    assert ["single", "1.000", "5.7", "3.4", "%", "3.1"] in [line.split() for line in out.getvalue().splitlines()]


def test_summary_compares_what_lies_outside_theorys_range(tmp_path: Path) -> None:
    """A pair with an unusual rate is the one that has to be looked at: it is compared, and what is unusual said."""
    summary = summary_of(write_folder(tmp_path / "run", {"2active": [25.1], "3active": [20.1]}))
    [pair] = summary.agreement
    assert pair.topologies == ("2active", "3active")
    assert pair.sentence in summary.finding
    assert pair.sentence.endswith("Note: 2active lies outside theory's range (18.4 to 23.4).")


def test_theory_is_computed_at_the_measured_latency(tmp_path: Path) -> None:
    """A prediction belongs to the system as it was: where answers take longer, the first failure comes sooner."""
    folder = write_folder(tmp_path / "run", {"single": [5.7], "2active": [20.0], "3active": [20.1]})
    slower = {"single": 1.5, "2active": 1.001, "3active": 1.0024}
    for path in folder.glob(f"*/{store.REQUESTS}"):
        latency_s = slower[path.parent.name.removesuffix("-1")]
        path.write_text(re.sub(r"(?m)^([\d.]+),1\.0,", rf"\g<1>,{latency_s},", path.read_text()))
    single, two, three = summary_of(folder).topologies
    assert (single.theory_latency_s, two.theory_latency_s) == (1.5, 1.0)
    assert two.theory is three.theory, "hardly different latencies share one simulation"
    assert single.theory.rate_per_s is not None
    assert single.theory.rate_per_s.median == pytest.approx(4.1, abs=0.2)
    assert single.rate_at_budget_per_s == pytest.approx(3.092 / 1.5, abs=0.001)


def test_theory_leaves_cold_standbys_out(tmp_path: Path) -> None:
    """A standby whose process is not running has no slots at the first failure."""
    cold = dataclasses.replace(PLANS[1], cold=["predict3"])
    store.write_json(tmp_path / store.SETTINGS, dataclasses.replace(SETTINGS, topologies=[cold]))
    write_run(tmp_path, cold, 13.0)
    [summary] = summary_of(tmp_path).topologies
    assert (summary.slots, summary.theory.slots, summary.runs_inside_theory) == (20, 20, 1)


def test_summary_judges_by_the_margin_of_the_settings(tmp_path: Path) -> None:
    """With a wider margin the same runs are equal; the margin is in the command that repeats them."""
    folder = write_folder(tmp_path / "run", {"2active": [19.0, 21.0, 23.0, 20.0], "3active": [20.0, 22.0, 23.0, 21.0]})
    settings = store.read_record(CompareSettings, folder / store.SETTINGS)
    runs = compare_records.read_runs(folder)
    wide = dataclasses.replace(settings, margins=Margins(relative_percent=25.0))
    [pair], [wide_pair] = (summarize(each, runs).agreement for each in (settings, wide))
    assert (pair.verdict, pair.margin_per_s) == ("not decided", 2.15)
    assert (wide_pair.verdict, wide_pair.margin_per_s) == ("equal", 5.375)
    asked = make_parser().parse_args(["--margin-percent", "25", "--topologies", "single"])
    planned, _ = EXPERIMENT.plan(asked, ROOT, Console())
    assert planned.margins == Margins(relative_percent=25.0)
    assert "--margin-percent 25" in planned.command


@pytest.mark.parametrize(
    ("rates", "cause", "without_rate", "pairs", "told"),
    [
        ({"single": [5.7, 2.0]}, "saturated", [], 0, ["1 of 2 runs lies outside", "single run 2 (2.0)"]),
        ({"2active": [None], "3active": [21.0]}, "saturated", ["2active"], 0,
         ["2active: nothing failed within the run time in 1 of 1 runs"]),
        ({"2active": [22.0], "3active": [8.0]}, "timeout", [], 1,
         ["'timeout', not saturation", "Note: the first failure of 2active was 'timeout' in 1 of 1 runs"]),
        ({"single": [3.0]}, "busy", [], 0,
         ["the first failure of 1 of 1 runs was 'busy': the server refused before its capacity was in flight"]),
        ({"2active": [22.0, None], "3active": [None, 21.0]}, "saturated", [], 1,
         ["2active: nothing failed within the run time in 1 of 2 runs"]),
    ],
)  # fmt: skip
def test_summary_names_what_is_unusual(
    tmp_path: Path, rates: dict[str, list[float | None]], cause: str, without_rate: list[str], pairs: int,
    told: list[str],
) -> None:  # fmt: skip
    """A rate that theory does not allow, no failure, a time-out: named, no rate made up, and compared all the same."""
    summary = summary_of(write_folder(tmp_path / "run", rates, cause))
    assert [each.topology for each in summary.topologies if each.rate_at_first_failure_per_s is None] == without_rate
    assert len(summary.agreement) == pairs
    assert [text for text in told if text not in " ".join(summary.finding)] == []


def test_summary_over_repeats_gives_median_and_range(tmp_path: Path) -> None:
    """Repeats give median, range and count, for rates and for loads."""
    [single] = summary_of(write_folder(tmp_path / "run", {"single": [5.0, 6.0, 5.5]})).topologies
    rate, loads = single.rate_at_first_failure_per_s, single.loads["predict1"].load
    assert rate is not None
    assert loads is not None
    assert (rate.median, rate.low, rate.high, rate.count) == (5.5, 5.0, 6.0, 3)
    assert (loads.median, loads.count) == (9, 3)


def test_shown_run_is_the_one_nearest_to_the_median(tmp_path: Path) -> None:
    """The chart over time shows a typical run, not the best."""
    folder = write_folder(tmp_path / "run", {"single": [6.5, 5.7, 4.6]})
    [single] = summary_of(folder).topologies
    assert shown_run(single, compare_records.read_runs(folder)).run.repeat == 2


def test_report_again_writes_the_same_files(tmp_path: Path) -> None:
    """Summary, charts and report come from the records alone: made again, they are the same to the byte."""
    folder = write_folder(tmp_path / "run", {"single": [5.7]})
    names = ["summary.json", "rates.svg", "timeline-single-1.svg", "report.html"]
    write_report(EXPERIMENT, folder)
    first = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    write_report(EXPERIMENT, folder)
    assert {name: (folder / name).read_bytes() for name in names} == first


def test_report_is_self_contained_and_complete(reported: Path) -> None:
    """One file: no address outside of it; finding, settings, machine, command and every definition inside."""
    html = (reported / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert re.findall(r"url\(|@import|<script|<link", html) == []
    assert html.count('src="data:image/svg+xml;base64,') == 3
    assert html.count('srcset="data:image/svg+xml;base64,') == 3, "each chart once more, for a phone"
    finding = json.loads((reported / "summary.json").read_text(encoding="utf-8"))["finding"]
    for text in (SETTINGS.command, "a &lt;fast&gt; one", "3.11.9", *DEFINITIONS.values(), *finding):
        assert text.replace("'", "&#39;") in html


@pytest.mark.parametrize("at_s", [0.0, 0.1, 1.4, 2.0, 3.0])
def test_note_on_a_moment_stays_between_the_edges_of_its_axes(at_s: float) -> None:
    """However early or late the first failure, its words lie on neither the axis nor the legend."""
    with new_figure((8.0, 3.0), io.BytesIO()) as figure:
        axes = figure.subplots()
        axes.set_xlim(0, 3)
        note_at(axes, at_s, "first failure (saturated): 20.9 requests/s, 82 users", "black")
        figure.canvas.draw()
        [note] = axes.artists
        written, room = note.get_window_extent(), axes.get_window_extent()
    assert room.x0 - 3 <= written.x0, "but for the padding"
    assert written.x1 <= room.x1 + 3


@pytest.mark.parametrize("sheet", [WIDE, NARROW])
def test_rates_of_a_run_without_anything_to_explain_are_drawn(tmp_path: Path, sheet: Sheet) -> None:
    """Nothing failed and theory has no figure: an empty chart is no error, on either page."""
    summary = summary_of(write_folder(tmp_path / "run", {"single": [None]}))
    theory = dataclasses.replace(summary.topologies[0].theory, rate_per_s=None)
    bare = dataclasses.replace(summary.topologies[0], theory=theory, post=PostFigures(None, {}))
    drawn = io.BytesIO()
    draw_rates(dataclasses.replace(summary, topologies=[bare]), drawn, sheet)
    assert b"</svg>" in drawn.getvalue()


@pytest.mark.parametrize(
    "rates", [{"single": [5.7], "2active": [22.4], "3active": [None]}, {"single": [5.7, 5.1], "3active": [20.1, 22.7]}]
)
def test_tables_fit_80_columns(tmp_path: Path, rates: dict[str, list[float | None]]) -> None:
    """No line of the tables is longer than a terminal of 80 columns, and no figure is cut off."""
    summary = summary_of(write_folder(tmp_path / "run", rates))
    out = io.StringIO()
    console = Console(file=out, width=500)
    console.print(rates_table(summary), planning_table(summary), *loads_tables(summary))
    lines = out.getvalue().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "…" not in out.getvalue()
    assert "5.2" in out.getvalue()


def test_tables_fit_80_columns_with_a_long_name(tmp_path: Path) -> None:
    """A topology of the user's own may have a long name; it is folded, not the figures."""
    name = "a-topology-with-a-very-long-name-indeed"
    plan = TopologyPlan(name, {"predictor-in-a-far-region-1": 10}, {"predictor-in-a-far-region-1": "active"})
    store.write_json(tmp_path / store.SETTINGS, dataclasses.replace(SETTINGS, topologies=[plan]))
    write_run(tmp_path, plan, 5.7)
    out = io.StringIO()
    print_summary(EXPERIMENT, summary_of(tmp_path), Console(file=out, width=80))
    tables = out.getvalue().partition("The first request failed")[0]
    assert max(len(line.rstrip()) for line in tables.splitlines()) <= 80
    assert "5.7" in tables


@pytest.mark.usefixtures("no_charts")
def test_report_command_prints_the_tables(reported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`report FOLDER` ends well and says where the report is."""
    assert main(["report", str(shutil.copytree(reported, tmp_path / "run"))]) == 0
    out = capsys.readouterr().out
    assert "RPS at first failure" in out
    assert "report.html" in out


def test_report_command_of_no_finished_run_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder whose runs were all broken off has nothing to report."""
    folder = write_folder(tmp_path / "run", {"single": [5.7]})
    (folder / "single-1" / store.RUN).unlink()
    assert main(["report", str(folder)]) == 2
    assert "no run in it was finished" in capsys.readouterr().err
