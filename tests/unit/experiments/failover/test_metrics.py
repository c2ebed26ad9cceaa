"""The scorecard's metrics of one run, from the figures of its windows."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.failover.metrics import DEFINITIONS, METRIC, METRICS, MeasuredRun
from experiments.failover.records import ALL_UP, DOMAIN_DOWN, DomainPlan, FaultRun, read_fault_runs
from experiments.failover.summary import measure_runs
from experiments.failover.window_metrics import WINDOW_METRICS, WindowFigures
from tests.unit.experiments.failover.hand_written import SETTINGS_HERE, SINGLE, TWO, write_folder

CRASH = WindowFigures(
    fault="crash", load="calm", repeat=1, targets=["predict1"], injected_s=0.0, length_s=10.0, offered=100, lost=10,
    refused=9, refused_after_s=0.01, longest_wait_s=0.7,
    delayed=4, lost_by_reason={"down": 10}, availability=0.9, downtime_s=1.0, outage_s=1.5, below_need_s=2.0,
    without_reserve_s=3.0,
    offered_rate_per_s=10.0, throughput_per_s=9.0, capacity_lost_share=0.25, added_wait_p99_s=0.4,
    longest_added_wait_s=0.5, recovery_s=3.0, redundancy_s=6.0, response_s=0.1, standby_answer_s=0.2, oversize_sent=0,
    oversize_refused=0, lateness_p99_s=0.01,
)  # fmt: skip
WINDOWS = [
    dataclasses.replace(CRASH, fault="none", targets=[], lost=99, longest_added_wait_s=9.0, recovery_s=9.0),
    CRASH,
    dataclasses.replace(CRASH, lost=20, availability=0.8, delayed=6),
    dataclasses.replace(CRASH, fault="hang", lost=2, delayed=20, recovery_s=8.0, availability=0.98, response_s=0.3),
    dataclasses.replace(CRASH, fault="slow", lost=7, availability=0.93, lateness_p99_s=0.2, delayed=99),
    dataclasses.replace(CRASH, fault="error", lost=99, availability=0.01, lateness_p99_s=1.0, recovery_s=99.0),
    dataclasses.replace(CRASH, fault="upgrade", lost=2, availability=0.98, response_s=5.0),
    dataclasses.replace(CRASH, fault="surge", targets=[], availability=0.9, lost=30, recovery_s=None, redundancy_s=7.0,
                        response_s=0.4, standby_answer_s=4.0, capacity_lost_share=0.0),
    dataclasses.replace(CRASH, fault="router restart", targets=["router"], lost=5, recovery_s=95.5, redundancy_s=98.0,
                        capacity_lost_share=1.0, longest_added_wait_s=99.0),
]  # fmt: skip
COMPARED, TIMED = frozenset({"crash", "hang", "slow"}), frozenset({"crash", "hang"})


@pytest.fixture
def fault_run(tmp_path: Path) -> FaultRun:
    """A run whose swarms failed at 20 requests/s with all up and at 10 with the largest domain down."""
    [run] = read_fault_runs(write_folder(tmp_path / "run", {"2active": [0]}))
    swarm = {ALL_UP: swarm_records(20.0004), DOMAIN_DOWN: swarm_records(10.0)}
    return dataclasses.replace(run, capacity=swarm)


def swarm_records(rate_per_s: float) -> SimpleNamespace:
    """As much of a swarm's records as a metric reads."""
    return SimpleNamespace(first_failure=SimpleNamespace(rate_at_first_failure_per_s=rate_per_s))


def measured(run: FaultRun, plan: DomainPlan = TWO, windows: list[WindowFigures] = WINDOWS) -> MeasuredRun:
    """The run with these windows."""
    [load] = SETTINGS_HERE.offered_loads
    return MeasuredRun(run, plan, load, capacity_was_measured=True, windows=windows, compared=COMPARED, timed=TIMED)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("capacity_in_region_per_s", 20.0),
        ("capacity_out_of_region_per_s", 10.0),
        ("lost_per_fault", (15 + 2 + 7) / 3),
        ("delayed_per_fault", (5 + 20) / 2),
        ("downtime_per_fault_s", 1.0),
        ("below_need_per_fault_s", 2.0),
        ("without_reserve_per_fault_s", 3.0),
        ("added_wait_p99_per_fault_s", 0.4),
        ("availability", round((0.85 + 0.98 + 0.93) / 3, 6)),
        ("planned_availability", 0.98),
        ("surge_availability", 0.9),
        ("capacity_lost_share", 0.25),
        ("longest_added_wait_s", 0.5),
        ("recovery_s", 8.0),
        ("redundancy_s", 6.0),
        ("response_s", 0.3),
        ("standby_answer_s", 0.2),
    ],
)
def test_metric_is_of_the_windows_that_its_definition_names(fault_run: FaultRun, name: str, value: float) -> None:
    """Control, planned work, surges and the router's own are apart; each fault counts once, however often measured."""
    assert METRIC[name].compute(measured(fault_run)) == value


@pytest.mark.parametrize("name", METRIC)
def test_metric_of_a_run_without_windows_and_swarms_is_none(fault_run: FaultRun, name: str) -> None:
    """Where nothing was measured, nothing is made up."""
    empty = dataclasses.replace(measured(dataclasses.replace(fault_run, capacity={})), windows=[])
    assert METRIC[name].compute(empty) is None


def test_capacity_out_of_region_is_0_where_nothing_is_left(fault_run: FaultRun) -> None:
    """A lone predictor is its own largest domain; without swarms there is no figure even so."""
    metric = METRIC["capacity_out_of_region_per_s"]
    run = measured(dataclasses.replace(fault_run, capacity={}), SINGLE)
    assert metric.compute(run) == 0.0
    assert metric.compute(dataclasses.replace(run, capacity_was_measured=False)) is None


def test_compared_faults_leave_out_control_planned_work_and_the_routers_own(tmp_path: Path) -> None:
    """Of the faults with usable windows those that are failures of predictors."""
    runs = read_fault_runs(write_folder(tmp_path / "run", {"2active": [0], "3active": [1]}))
    assert [run.compared for [*side] in measure_runs(SETTINGS_HERE, runs) for run in side] == [{"crash"}, {"crash"}]
    for fault, target in (("none", ""), ("upgrade", "predict1"), ("surge", ""), ("router restart", "router")):
        renamed = [
            dataclasses.replace(
                run, actions=[dataclasses.replace(action, fault=fault, target=target) for action in run.actions]
            )
            for run in runs
        ]
        assert not any(run.compared for side in measure_runs(SETTINGS_HERE, renamed) for run in side)


def test_every_figure_of_a_window_has_a_row() -> None:
    """The table computes all fields but those that name the window, and defines what the summary defines."""
    fields = {field.name for field in dataclasses.fields(WindowFigures)}
    assert {metric.name for metric in WINDOW_METRICS} == fields - {"fault", "load", "missed", "repeat", "targets"}
    assert set(DEFINITIONS) > {metric.name for metric in METRICS}
