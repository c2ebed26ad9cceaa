"""A failover run's records, written by hand: plans, settings, a crash, whole run folders."""

import dataclasses
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from experiments.experiment import read_finished
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.records import (
    ACTIONS,
    NORMAL,
    OVERSIZE,
    Action,
    DomainPlan,
    FailoverRun,
    FailoverSettings,
    SteadyRequest,
)
from experiments.failover.report import summarize
from experiments.failover.summary import FailoverSummary
from experiments.results.records import Event, LoadSample
from experiments.results.store import EVENTS, LOADS, REQUESTS, RUN, SETTINGS, R, RowWriter, write_json

T = 1_700_000_000.0
"""The moment of the fault in the hand-written records."""

ROLES = {"predict1": "active", "predict2": "active", "predict3": "standby"}
TWO = DomainPlan("2active", dict.fromkeys(ROLES, 10), ROLES, {})
THREE = DomainPlan("3active", TWO.capacities, dict.fromkeys(TWO.capacities, "active"), {})
SINGLE = DomainPlan("single", {"predict1": 10}, {"predict1": "active"}, {})
REGIONS = DomainPlan(
    "2region",
    dict.fromkeys(("a1", "a2", "b1", "b2"), 10),
    {"a1": "active", "a2": "active", "b1": "standby", "b2": "standby"},
    {"a1": "A", "a2": "A", "b1": "B", "b2": "B"},
)
SETTINGS_HERE = FailoverSettings(
    experiment="failover", command="python -m experiments failover --seed 7", started_at="2025-01-31T14:25:00+00:00",
    topologies=[SINGLE, TWO, THREE], faults=["none", "crash", "region", "surge"], repeats=1, seed=7, rate_per_s=10.0,
    rate_reason="by hand", pacing_s=20.0, service_time_s=0.2, threshold=10, hold_down_s=2.0, repair_after_s=3.0,
    window_s=10.0, capacity_service_time_s=1.0, capacity_spawn_rate_per_s=0.0, capacity_wait_s=[1.0, 5.0], at_once=3,
    machine={"cores": "2"}, versions={"python": "3.11.9"},
)  # fmt: skip
EVENTS_OF_CRASH = [
    Event(T + 0.1, "ejected", "predict1", "connection refused"),
    Event(T + 0.1001, "promoted", "predict3", "predict1 is down"),
    Event(T + 7.0, "readmitted", "predict1", "health checks pass"),
    Event(T + 9.0, "demoted", "predict3", "all actives are back"),
]


def request(after_s: float, reason: str = "", kind: str = NORMAL, late_s: float = 0.0, by: str = "predict1",
            latency_s: float = 0.21) -> SteadyRequest:  # fmt: skip
    """A request due so many seconds after the fault."""
    status = 413 if kind == OVERSIZE else 503 if reason else 200
    due_s = T + after_s
    return SteadyRequest(
        due_at_s=due_s,
        sent_at_s=due_s + late_s,
        latency_s=latency_s,
        kind=kind,
        status=status,
        reason=reason,
        predictor="" if reason else by,
    )


def fault_steps(fault: str = "crash", target: str = "predict1", number: int = 1) -> list[Action]:
    """A fault's actions: repair after 3 s, repaired at 6 s, as planned at 9 s."""
    steps = {"injected": 0.0, "repair": 3.0, "repaired": 6.0, "recovered": 9.0, "window ended": 10.0}
    return [Action(T + after_s, number, fault, action, target) for action, after_s in steps.items()]


def write_run(folder: Path, plan: DomainPlan, lost: int = 0, repeat: int = 1, late_s: float = 0.0) -> None:
    """One run: a crash with so many lost of 100 requests in its window, a skipped region fault, nothing else."""
    run = folder / f"{plan.name}-{repeat}"
    run.mkdir(parents=True)
    by = plan.actives
    requests = [request(k / 10, "down" if k < lost else "", late_s=late_s, by=by[k % len(by)]) for k in range(100)]
    write_rows(run / REQUESTS, SteadyRequest, requests)
    skipped = Action(T + 10, 2, "region", "skipped", "no active predictor's entry names a region")
    write_rows(run / ACTIONS, Action, [*fault_steps(), skipped])
    write_rows(run / LOADS, LoadSample, [])
    events = [event for event in EVENTS_OF_CRASH if event.predictor in plan.capacities]
    write_json(run / EVENTS, [dataclasses.asdict(event) for event in events])
    write_json(run / RUN, FailoverRun(plan.name, repeat, T - 10, T + 20))


def write_rows(path: Path, kind: type[R], rows: Iterable[R]) -> None:
    """A CSV file of these records."""
    with closing(RowWriter(path, kind)) as writer:
        writer.write(rows)


def write_folder(folder: Path, lost: dict[str, list[int]], late_s: float = 0.0, rate_per_s: float = 10.0) -> Path:
    """A run folder: topology -> requests lost in each repeat; the rate is what the settings say."""
    folder.mkdir(parents=True, exist_ok=True)
    plans = [plan for plan in SETTINGS_HERE.topologies if plan.name in lost]
    repeats = max(map(len, lost.values()))
    settings = dataclasses.replace(SETTINGS_HERE, topologies=plans, repeats=repeats, rate_per_s=rate_per_s)
    write_json(folder / SETTINGS, settings)
    for plan in plans:
        for repeat, count in enumerate(lost[plan.name], start=1):
            write_run(folder, plan, count, repeat, late_s)
    return folder


def summary_of(folder: Path) -> FailoverSummary:
    """What the runs in the folder come to."""
    return summarize(*read_finished(EXPERIMENT, folder))
