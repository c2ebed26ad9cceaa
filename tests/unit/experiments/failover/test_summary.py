"""The summary of a failover run: what is compared, and what the finding says."""

import dataclasses
from pathlib import Path

import pytest

from experiments.experiment import read_finished
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.metrics import METRIC
from experiments.failover.records import (
    ACTIONS,
    CALM,
    N_PLUS_1,
    OVERSIZE,
    Action,
    FaultRun,
    OfferedLoad,
    SteadyRequest,
    read_fault_runs,
)
from experiments.failover.report import summarize
from experiments.failover.tables import MEAN, impact_groups, loss_matrix
from experiments.results.statistics import RunStats
from experiments.results.store import REQUESTS, as_json
from tests.unit.experiments.failover.hand_written import (
    SETTINGS_HERE,
    TWO,
    T,
    fault_steps,
    request,
    summary_of,
    write_folder,
    write_rows,
)

pytestmark = pytest.mark.usefixtures("no_answer")


def test_summary_averages_the_compared_faults(tmp_path: Path) -> None:
    """Figures per fault of predictors, skipped ones left out; the headline is grouped by what differs."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [0]})
    summary = summary_of(folder)
    single, two = summary.topologies
    assert set(single.figures) == set(METRIC)
    assert single.figures["availability"] == RunStats(0.6, 0.6, 0.6, 1)
    assert two.figures["lost_per_fault"] == RunStats(0.0, 0.0, 0.0, 1)
    [load] = summary.loads
    assert (load.compared, load.of("single").average.downtime_s) == (["crash"], 4.0)
    assert any("'region' was skipped for single, 2active" in sentence for sentence in summary.finding)
    assert summary.finding[0] == (
        "2active loses nothing in crash; single loses 4 s of requests per crash; one run of each decides no ranking."
    )
    assert "single 40.0 requests lost, 0.0 delayed, 4.00 s of downtime" in summary.finding[1]
    assert "up to 95 % of such faults could lose something" in summary.finding[2]


@pytest.mark.parametrize(
    ("lost", "rate_per_s", "expected"),
    [
        ({"single": [40] * 4, "2active": [0] * 4, "3active": [0] * 4}, 10,
         "2active and 3active lose nothing in crash; single loses 4 s of requests per crash."),
        ({"single": [40, 41, 42, 43], "2active": [1, 2, 1, 2], "3active": [2, 1, 2, 1]}, 10,
         "single loses 4.2 s of requests per crash; 2active and 3active lose 0.15 s per fault, not told apart."),
        ({"2active": [0] * 4, "3active": [0, 0, 1, 0]}, 10,
         "2active loses nothing in crash; 3active loses 0.025 s of requests per crash, not told apart from 2active."),
        ({"single": [40] * 4, "2active": [0] * 4}, 50,
         "single is overloaded: it refuses 21 % with everything up; 2active loses nothing in crash."),
    ],
    ids=["nothing", "not told apart", "not told apart from nothing", "overloaded"],
)  # fmt: skip
def test_headline_groups_by_what_differs(
    tmp_path: Path, lost: dict[str, list[int]], rate_per_s: float, expected: str
) -> None:
    """Overloaded ones first, those that lose nothing, then what the repeats tell apart; no ranking of the others."""
    assert summary_of(write_folder(tmp_path / "run", lost, rate_per_s=rate_per_s)).finding[0] == expected


def test_fault_that_missed_is_in_no_figure_and_told_with_its_reason(tmp_path: Path) -> None:
    """Its window is invalid, on terminal, page and in summary.json; without one there is no such key."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [0]})
    rows = [*fault_steps(), Action(T + 1, 1, "crash", "missed", "port 1 of predict1 still takes connections after 1 s")]
    assert "missed" not in as_json(summary_of(folder))["topologies"][1]["windows"][0]
    write_rows(folder / "2active-1" / ACTIONS, Action, rows)
    summary = summary_of(folder)
    assert summary.loads[0].compared == []
    assert summary.loads[0].of("2active").impact_of("crash").lost is None
    told = "Invalid: crash in a window of 2active: port 1 of predict1 still takes connections after 1 s."
    assert told in summary.finding
    assert as_json(summary)["topologies"][1]["windows"][0]["missed"] == rows[-1].target
    [row] = [
        cells
        for _, _, rows in impact_groups(summary.loads[0], SETTINGS_HERE)
        for cells in rows
        if cells[0] == "2active"
    ]
    assert row[1] == "invalid"


def test_fault_that_was_left_out_is_told(tmp_path: Path) -> None:
    """By its name, with the reason that the settings have."""
    folder = write_folder(tmp_path / "run", {"single": [40]})
    settings = dataclasses.replace(read_finished(EXPERIMENT, folder)[0], left_out={"hang": "no hook `hang`"})
    assert "hang is left out: no hook `hang`." in summarize(settings, read_fault_runs(folder)).finding


def test_headline_does_not_depend_on_the_windows_length(tmp_path: Path) -> None:
    """Twice as long a window, half of it calm, halves what is missing of an availability and leaves the headline."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [0]})
    runs = [
        dataclasses.replace(run, requests=[*run.requests, *(request(10 + k / 10, by="predict1") for k in range(100))])
        for run in read_fault_runs(folder)
    ]
    settings = dataclasses.replace(SETTINGS_HERE, topologies=SETTINGS_HERE.topologies[:2])
    short, long = (summarize(dataclasses.replace(settings, window_s=each), runs) for each in (10.0, 20.0))
    assert short.finding[:2] == long.finding[:2]
    shares = [summary.topologies[0].figures["availability"] for summary in (short, long)]
    assert [share.median for share in shares if share] == [0.6, 0.8]


def test_routers_own_fault_is_a_line_of_its_own(tmp_path: Path) -> None:
    """It is in no average, no verdict and no headline: it stands in front of every topology alike."""
    folder = write_folder(tmp_path / "run", {"single": [40] * 4, "2active": [0] * 4})
    runs = read_fault_runs(folder)
    steps = fault_steps("router restart", "router", 3)
    later = [dataclasses.replace(step, time_s=step.time_s + 20) for step in steps]
    lost = [request(20 + k / 10, "down") for k in range(7)]
    more = [dataclasses.replace(run, actions=[*run.actions, *later], requests=[*run.requests, *lost]) for run in runs]
    settings = dataclasses.replace(SETTINGS_HERE, topologies=SETTINGS_HERE.topologies[:2])
    before, after = summarize(settings, runs), summarize(settings, more)
    assert before.finding[0] == after.finding[0]
    assert before.pairs == after.pairs
    for old, new in zip(before.loads[0].topologies, after.loads[0].topologies, strict=True):
        assert (old.average, old.figures, old.router) == (new.average, new.figures, [])
        assert [(each.fault, each.lost) for each in new.router] == [("router restart", 7.0)]
    assert (
        "The router's own fault (router restart) is in none of these figures; requests lost in it: single 7.0, 2active "
        "7.0." in after.finding
    )


def test_routers_own_fault_is_not_told_of_overloaded_topologies(tmp_path: Path) -> None:
    """They lose all the time, whatever becomes of the router."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [0]}, rate_per_s=50.0)
    settings, runs = read_finished(EXPERIMENT, folder)
    of_router = [dataclasses.replace(run, actions=fault_steps("router restart", "router")) for run in runs]
    assert (
        "The router's own fault (router restart) lost no request where the topology is not overloaded."
        in summarize(settings, of_router).finding
    )


@pytest.mark.parametrize(
    ("supervised", "signal", "theory"), [(False, "SIGTERM", "-"), (True, "SIGHUP", "7 (0-0)\noutside")]
)
def test_routers_restart_is_told_as_the_run_did_it(tmp_path: Path, supervised: bool, signal: str, theory: str) -> None:
    """Without a supervisor it was a stop and a start, of which theory is silent; else an upgrade that loses none."""
    folder = write_folder(tmp_path / "run", {"2active": [0]})
    [run] = read_fault_runs(folder)
    lost = [request(k / 10, "down" if k < 7 else "") for k in range(100)]
    struck = dataclasses.replace(run, actions=fault_steps("router restart", "router"), requests=lost)
    settings = dataclasses.replace(SETTINGS_HERE, topologies=[TWO], supervised=supervised)
    [load] = summarize(settings, [struck]).loads
    [(_, what, [cells])] = impact_groups(load, settings)
    [(_, above, _)] = loss_matrix(load, settings)
    assert (signal in what, signal in above, cells[9]) == (True, True, theory)


def test_summary_names_oversize_bodies_that_were_not_refused_for_their_size(tmp_path: Path) -> None:
    """Another answer than 413 means that something else than the size was refused."""
    folder = write_folder(tmp_path / "run", {"single": [0]})
    [run] = read_fault_runs(folder)
    bodies = [request(1, "Too large", kind=OVERSIZE), request(2, "Too large", kind=OVERSIZE)]
    wrong = [*bodies, dataclasses.replace(bodies[0], status=400)]
    good, bad = (
        summarize(SETTINGS_HERE, [dataclasses.replace(run, requests=run.requests + each)]).finding
        for each in (bodies, wrong)
    )
    assert not any("bodies over the limit" in sentence for sentence in good)
    assert "1 of 3 bodies over the limit were not refused for their size (413)." in bad


@pytest.mark.parametrize(("late_s", "left_out"), [(0.5, "in no time and no delay."), (1.5, "1 of them")])
def test_summary_leaves_lagging_windows_out(tmp_path: Path, late_s: float, left_out: str) -> None:
    """A generator that lagged gives no time, by 1 s no loss either but beside the rest, and the finding says so."""
    summary = summary_of(write_folder(tmp_path / "run", {"single": [40]}, late_s=late_s))
    [topology] = summary.topologies
    assert topology.figures["recovery_s"] is None
    assert (topology.figures["availability"] is None) == (late_s >= 1)
    [impact] = summary.loads[0].topologies[0].faults
    assert impact.lost_with_invalid == 40.0
    assert impact.lost == (None if late_s >= 1 else 40.0)
    [sentence] = [each for each in summary.finding if each.startswith("Invalid windows: 1. There the generator lagged")]
    assert left_out in sentence


def test_summary_compares_only_faults_that_count_in_every_topology(tmp_path: Path) -> None:
    """Means over different faults cannot be compared: a repeat without one topology's window has none."""
    folder = write_folder(tmp_path / "run", {"single": [40, 40], "2active": [0, 0]})
    write_rows(folder / "2active-1" / REQUESTS, SteadyRequest, [request(k / 10, late_s=1.5) for k in range(80)])
    single, two = (topology.figures["availability"] for topology in summary_of(folder).topologies)
    assert single is not None
    assert two is not None
    assert (single.count, two.count) == (1, 1)


def with_double_crash(run: FaultRun, lost: int) -> FaultRun:
    """The run with a second fault, 20 s after the crash, in which so many of 100 requests are lost."""
    steps = [
        dataclasses.replace(each, time_s=each.time_s + 20, window=9, fault="double crash")
        for each in run.actions
        if each.fault == "crash"
    ]
    requests = [request(20 + k / 10, "down" if k < lost else "") for k in range(100)]
    return dataclasses.replace(run, actions=[*run.actions, *steps], requests=[*run.requests, *requests])


@pytest.mark.parametrize(("rate_per_s", "is_compared"), [(10.0, False), (50.0, True)])
def test_fault_that_not_every_compared_topology_met_is_told_beside_the_means(
    tmp_path: Path, rate_per_s: float, is_compared: bool
) -> None:
    """It is in no mean, and named with its losses; a topology that is overloaded is not compared, nor does it count."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [0], "3active": [0]}, rate_per_s=rate_per_s)
    settings, runs = read_finished(EXPERIMENT, folder)
    settings = dataclasses.replace(settings, faults=["crash", "double crash"], loads=[])
    summary = summarize(
        settings, [run if run.run.topology == "single" else with_double_crash(run, lost=7) for run in runs]
    )
    [load] = summary.loads
    told = "'double crash' does not count in every topology, so it is in none of these means; lost in it: 2active 7.0"
    assert (load.compared, load.not_compared) == (
        (["crash", "double crash"], []) if is_compared else (["crash"], ["double crash"])
    )
    assert any(sentence.startswith(told) for sentence in summary.finding) != is_compared
    assert load.of("2active").average.lost == (3.5 if is_compared else 0.0)
    [mean] = [[cells[0] for cells in rows] for fault, _, rows in impact_groups(load, SETTINGS_HERE) if fault == MEAN]
    assert mean == (["2active", "3active"] if is_compared else ["single", "2active", "3active"])


def test_each_load_has_figures_of_its_own(tmp_path: Path) -> None:
    """Windows go with the load that their fault struck under, and so do overload and the slots needed."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [0]})
    loads = [OfferedLoad(CALM, 10.0, "", ["crash"]), OfferedLoad(N_PLUS_1, 60.0, "", ["crash"])]
    settings = dataclasses.replace(SETTINGS_HERE, topologies=SETTINGS_HERE.topologies[:2], loads=loads)
    again = [dataclasses.replace(step, time_s=step.time_s + 20, window=2, load=N_PLUS_1) for step in fault_steps()]
    lost = [request(20 + k / 10, "down" if k < 5 else "") for k in range(100)]
    both = [
        dataclasses.replace(run, actions=[*fault_steps(), *again], requests=[*run.requests, *lost])
        for run in read_fault_runs(folder)
    ]
    calm, loaded = summarize(settings, both).loads
    assert [each.average.lost for each in calm.topologies] == [40.0, 0.0]
    assert [each.average.lost for each in loaded.topologies] == [5.0, 5.0]
    assert [each.overloaded for each in (*calm.topologies, *loaded.topologies)] == [False, False, True, False]
    assert (calm.slots_needed, loaded.slots_needed) == (7, 20)
