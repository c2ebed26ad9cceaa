"""The scorecard from hand-written records: every figure, the offered rate, the verdicts, the report made again."""

import dataclasses
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from cli import UsageError
from experiments.__main__ import main
from experiments.experiment import run_experiment, write_report
from experiments.failover.claims import FAILS, HOLDS, NOT_DECIDED, Claim, judge
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.findings import headline
from experiments.failover.logs import ActionLog, EventLog
from experiments.failover.rate import choose_rate, survived_per_s
from experiments.failover.records import (
    ACTIONS,
    NORMAL,
    OVERSIZE,
    SURGE,
    Action,
    DomainPlan,
    Offered,
    Run,
    Settings,
    read_fault_runs,
    read_settings,
)
from experiments.failover.summarize import summarize
from experiments.failover.summary import FIGURES
from experiments.failover.tables import heat_matrix, loss_table, scorecard_table
from experiments.failover.timeline import find_marks, sentences, shown_courses
from experiments.failover.windows import DEFINITIONS, WindowFigures, window_figures, windows
from experiments.results.records import Event, LoadSample
from experiments.results.statistics import RunStats, aggregate
from experiments.results.store import EVENTS, LOADS, REQUESTS, RUN, SETTINGS, RowWriter, write_json

T = 1_700_000_000.0
"""The moment of the fault in the hand-written records."""

TWO = DomainPlan(
    "2active",
    {"predict1": 10, "predict2": 10, "predict3": 10},
    {"predict1": "active", "predict2": "active", "predict3": "standby"},
    {},
)
THREE = DomainPlan("3active", TWO.capacities, dict.fromkeys(TWO.capacities, "active"), {})
SINGLE = DomainPlan("single", {"predict1": 10}, {"predict1": "active"}, {})
REGIONS = DomainPlan(
    "2region",
    dict.fromkeys(("a1", "a2", "b1", "b2"), 10),
    {"a1": "active", "a2": "active", "b1": "standby", "b2": "standby"},
    {"a1": "A", "a2": "A", "b1": "B", "b2": "B"},
)
SETTINGS_HERE = Settings(
    experiment="failover",
    command="python -m experiments failover --seed 7",
    started_at="2025-01-31T14:25:00+00:00",
    topologies=[SINGLE, TWO, THREE],
    faults=["none", "crash", "region", "surge"],
    repeats=1,
    seed=7,
    rate_per_s=10.0,
    rate_reason="by hand",
    pacing_s=20.0,
    service_time_s=0.2,
    threshold=10,
    hold_down_s=2.0,
    repair_after_s=3.0,
    window_s=10.0,
    capacity_service_time_s=1.0,
    capacity_spawn_rate_per_s=0.0,
    capacity_wait_s=[1.0, 5.0],
    at_once=3,
    machine={"cores": "2"},
    versions={"python": "3.11.9"},
)
EVENTS_OF_CRASH = [
    Event(T + 0.1, "ejected", "predict1", "connection refused"),
    Event(T + 0.1001, "promoted", "predict3", "predict1 is down"),
    Event(T + 7.0, "readmitted", "predict1", "health checks pass"),
    Event(T + 9.0, "demoted", "predict3", "all actives are back"),
]


def request(after_s: float, reason: str = "", kind: str = NORMAL, late_s: float = 0.0, by: str = "predict2",
            latency_s: float = 0.21) -> Offered:  # fmt: skip
    """A request due so many seconds after the fault."""
    status = 413 if kind == OVERSIZE else 503 if reason else 200
    due_s = T + after_s
    return Offered(due_s, due_s + late_s, latency_s, kind, status, reason, "" if reason else by)


def course(fault: str = "crash", target: str = "predict1", number: int = 1) -> list[Action]:
    """A fault's actions: repair after 3 s, repaired at 6 s, as planned at 9 s."""
    steps = {"injected": 0.0, "repair": 3.0, "repaired": 6.0, "recovered": 9.0, "window ended": 10.0}
    return [Action(T + after_s, number, fault, action, target) for action, after_s in steps.items()]


def write_run(folder: Path, plan: DomainPlan, lost: int = 0, repeat: int = 1, late_s: float = 0.0) -> None:
    """One run: a crash with so many lost of 100 requests in its window, a skipped region fault, nothing else."""
    run = folder / f"{plan.name}-{repeat}"
    run.mkdir(parents=True)
    requests: RowWriter[Offered] = RowWriter(run / REQUESTS, Offered)
    requests.write(request(k / 10, "down" if k < lost else "", late_s=late_s, by="predict1") for k in range(100))
    requests.close()
    actions: RowWriter[Action] = RowWriter(run / ACTIONS, Action)
    actions.write([*course(), Action(T + 10, 2, "region", "skipped", "no active predictor's entry names a region")])
    actions.close()
    RowWriter(run / LOADS, LoadSample).close()
    events = [event for event in EVENTS_OF_CRASH if event.predictor in plan.capacities]
    write_json(run / EVENTS, [dataclasses.asdict(event) for event in events])
    write_json(run / RUN, Run(plan.name, repeat, T - 10, T + 20))


def write_folder(folder: Path, lost: dict[str, list[int]], late_s: float = 0.0) -> Path:
    """A run folder: topology -> requests lost in each repeat."""
    folder.mkdir(parents=True, exist_ok=True)
    plans = [plan for plan in SETTINGS_HERE.topologies if plan.name in lost]
    repeats = max(map(len, lost.values()))
    write_json(folder / SETTINGS, dataclasses.replace(SETTINGS_HERE, topologies=plans, repeats=repeats))
    for plan in plans:
        for repeat, count in enumerate(lost[plan.name], start=1):
            write_run(folder, plan, count, repeat, late_s)
    return folder


def figures(tmp_path: Path, requests: list[Offered], plan: DomainPlan = TWO, actions: list[Action] | None = None,
            events: list[Event] | None = None) -> WindowFigures:  # fmt: skip
    """The figures of the first window of a run with these records."""
    write_run(tmp_path, plan)
    [run] = read_fault_runs(tmp_path)
    actions = actions or course()
    events = EVENTS_OF_CRASH if events is None else events
    run = dataclasses.replace(run, requests=requests, events=events, actions=actions)
    return window_figures(windows(actions, SETTINGS_HERE)[0], run, plan, SETTINGS_HERE)


# The figures of a window


def test_window_counts_requests_by_the_moment_of_sending(tmp_path: Path) -> None:
    """What was sent in the window counts, however late it was answered; what was sent before or after does not."""
    sent = [
        request(-0.01, "down"),
        request(0.0),
        request(9.9, latency_s=8.0),
        request(10.0, "down"),
        request(5, "down"),
    ]
    found = figures(tmp_path, sent)
    assert (found.offered, found.lost, found.lost_by_reason) == (3, 1, {"down": 1})
    assert found.availability == pytest.approx(2 / 3, abs=1e-6)
    assert found.offered_rate_per_s == pytest.approx(0.3)
    assert found.throughput_per_s == pytest.approx(0.2)


def test_window_counts_the_surge_and_not_the_oversize_bodies(tmp_path: Path) -> None:
    """Requests of a surge are offered like any other; to refuse an oversize body is no loss."""
    found = figures(tmp_path, [request(1), request(2, kind=SURGE), request(3, "Too large", kind=OVERSIZE)])
    assert (found.offered, found.lost) == (2, 0)
    assert (found.oversize_sent, found.oversize_refused) == (1, 1)


def test_window_lasts_until_all_is_as_planned(tmp_path: Path) -> None:
    """Its length is the settings', or longer where the recovery is."""
    late = [dataclasses.replace(a, time_s=T + 13) if a.action == "recovered" else a for a in course()]
    assert figures(tmp_path, [request(12, "down")], actions=late).lost == 1
    assert figures(tmp_path / "b", [request(12, "down")]).offered == 0


def test_worst_added_wait_is_that_of_an_answer(tmp_path: Path) -> None:
    """The longest good answer less the service time; a lost request waits for nothing."""
    found = figures(tmp_path, [request(1, latency_s=0.7), request(2, "timeout", latency_s=10.0)])
    assert found.worst_added_wait_s == pytest.approx(0.5)


def test_crash_with_a_standby_recovers_by_the_promotion(tmp_path: Path) -> None:
    """As many slots as planned are in rotation once the standby is; that all is as planned takes longer."""
    found = figures(tmp_path, [request(1), request(0.3, by="predict3")])
    assert (found.response_s, found.recovery_s, found.redundancy_s) == (0.1, 0.1, 9.0)
    assert found.standby_answer_s == pytest.approx(0.51)
    assert found.capacity_lost_share == pytest.approx(0.3333)


def test_crash_without_a_standby_recovers_by_the_readmission(tmp_path: Path) -> None:
    """Without one, the slots are missing until the repaired predictor is back."""
    events = [event for event in EVENTS_OF_CRASH if event.predictor == "predict1"]
    found = figures(tmp_path, [request(1)], plan=THREE, events=events)
    assert (found.response_s, found.recovery_s, found.standby_answer_s) == (0.1, 7.0, None)


def test_recovery_counts_until_the_slots_are_back_for_good(tmp_path: Path) -> None:
    """A predictor that is ejected again has not recovered the first time."""
    events = [
        Event(T + at_s, what, "predict1", "")
        for at_s, what in ((1, "ejected"), (3, "readmitted"), (4, "ejected"), (8, "readmitted"))
    ]
    assert figures(tmp_path, [request(1)], plan=THREE, events=events).recovery_s == 8.0


def test_fault_that_the_router_does_not_see_has_no_reaction_and_no_recovery(tmp_path: Path) -> None:
    """No event, no slot missing: there is nothing to measure, and nothing is made up."""
    found = figures(tmp_path, [request(1)], events=[])
    assert (found.response_s, found.recovery_s) == (None, None)


def test_upgrade_window_ends_when_the_last_predictor_is_ready(tmp_path: Path) -> None:
    """An upgrade's availability is that of the upgrade, not of the calm after it."""
    drains = [Event(T + 0.1, "drained", "predict1", "operator"), Event(T + 2, "ready", "predict1", "operator")]
    found = figures(tmp_path, [request(5), request(7, "down")], actions=course("upgrade", "predict1+predict2"),
                    events=drains, plan=THREE)  # fmt: skip
    assert (found.length_s, found.offered, found.recovery_s) == (6.0, 1, 2.0)


def test_router_restart_recovers_when_it_serves_again(tmp_path: Path) -> None:
    """Without the router no slot is in rotation, whatever its last event log said."""
    found = figures(tmp_path, [request(1)], actions=course("router restart", "router"), events=[])
    assert (found.recovery_s, found.capacity_lost_share) == (6.0, 1.0)


def test_generator_that_lags_makes_the_window_invalid(tmp_path: Path) -> None:
    """More than 1 % of the requests over 0.1 s late: the window says nothing about the topology."""
    on_time = [request(k / 100) for k in range(99)]
    assert figures(tmp_path, [*on_time, request(1, late_s=5.0)]).valid
    assert not figures(tmp_path / "b", [*on_time, request(1, late_s=5.0), request(2, late_s=0.2)]).valid
    stalled = [request(9 + k / 100, late_s=2.0) for k in range(10)]
    assert not figures(tmp_path / "c", [*on_time, *stalled]).valid, "sent after the window's end, due in it"
    assert not figures(tmp_path / "d", []).valid, "nothing was offered"


# The plan and the rate


@pytest.mark.parametrize(
    ("plan", "domain"),
    [(SINGLE, ["predict1"]), (TWO, ["predict1"]), (REGIONS, ["a1", "a2"])],
    ids=["single", "2active", "2region"],
)
def test_largest_domain_is_a_region_or_a_predictor(plan: DomainPlan, domain: list[str]) -> None:
    """A region where entries name one, else one predictor; one with an active in it."""
    assert plan.largest_domain() == domain


def test_largest_domain_goes_by_slots() -> None:
    """Predictors of unequal capacity: the largest counts."""
    plan = dataclasses.replace(THREE, capacities={"predict1": 5, "predict2": 20, "predict3": 5})
    assert plan.largest_domain() == ["predict2"]


def test_rate_is_half_of_what_the_weakest_survives() -> None:
    """Erlang B at 1 %: 4.46 erlangs for 10 slots, 12.03 for 20; the lowest half is offered to all, and named."""
    assert survived_per_s(10, 0.2) == pytest.approx(4.46 / 0.2, rel=1e-2)
    alone = choose_rate([SINGLE, TWO, THREE], 0.2)
    assert alone.rate_per_s == pytest.approx(11.15, abs=0.02)
    assert "single survives up" in alone.reason
    assert "nothing left" in alone.reason
    three = choose_rate([THREE], 0.2)
    assert three.rate_per_s == pytest.approx(12.03 / 0.2 / 2, abs=0.05)
    assert "with its largest predictor down (20 slots" in three.reason


def test_rate_lets_a_standby_step_back() -> None:
    """A topology with many standbys survives more than its actives carry calmly: three tenths of their slots."""
    regions = choose_rate([REGIONS], 0.2)
    assert regions.rate_per_s == pytest.approx(0.3 * REGIONS.active_slots / 0.2)
    assert "step back" in regions.reason


# Verdicts


CLAIM = Claim("3-active is best", "3active", "availability", True, "availability")


def spread(*values: float) -> RunStats:
    """Values over repeats."""
    found = aggregate(values)
    assert found is not None
    return found


LOW, HIGH = spread(0.91, 0.92, 0.93, 0.94), spread(0.97, 0.98, 0.98, 0.99)


@pytest.mark.parametrize(
    ("own", "other", "verdict", "reason"),
    [
        (HIGH, LOW, HOLDS, "no range overlaps"),
        (LOW, HIGH, FAILS, "2active does better"),
        (spread(0.93, 0.95, 0.96, 0.98), HIGH, NOT_DECIDED, "the ranges overlap with 2active"),
        (spread(1.0, 1.0, 1.0, 1.0), spread(1.0, 1.0, 1.0, 1.0), NOT_DECIDED, "exactly alike in 2active"),
        (spread(1.0), spread(0.5), NOT_DECIDED, "1 run is too few"),
    ],
    ids=["holds", "does not", "overlap", "alike", "one run"],
)
def test_verdict_goes_by_the_ranges(own: RunStats, other: RunStats, verdict: str, reason: str) -> None:
    """A difference is called one only where the ranges say so and there are enough repeats."""
    found = judge(CLAIM, {"2active": other, "3active": own})
    assert found is not None
    assert found.verdict == verdict
    assert reason in found.sentence
    assert "2active" in found.sentence


def test_verdict_where_less_is_better_is_turned_round() -> None:
    """Of lost requests the lower range wins."""
    claim = dataclasses.replace(CLAIM, figure="lost_per_fault", higher_is_better=False)
    found = judge(claim, {"3active": spread(0, 0, 0, 1), "single": spread(40, 41, 42, 43)})
    assert found is not None
    assert found.verdict == HOLDS


def test_verdict_needs_the_claims_topology_and_another() -> None:
    """A table without them says nothing about the claim."""
    assert judge(CLAIM, {"3active": HIGH}) is None
    assert judge(CLAIM, {"2active": HIGH, "single": LOW}) is None


# Summary and report


def test_summary_pools_valid_unplanned_faults(tmp_path: Path) -> None:
    """Availability and losses over the unplanned faults, the control and skipped ones left out."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [0]})
    summary = summarize(SETTINGS_HERE, read_fault_runs(folder))
    single, two = summary.topologies
    assert set(single.figures) == set(FIGURES)
    assert single.figures["availability"] == RunStats(0.6, 0.6, 0.6, 1)
    assert two.figures["lost_per_fault"] == RunStats(0.0, 0.0, 0.0, 1)
    assert any("'region' was skipped for single, 2active" in sentence for sentence in summary.finding)
    assert summary.finding[0] == (
        "Requests lost while faults struck, in one run of each: single 1 in 2.5 and 2active none; one run decides no "
        "ranking."
    )
    assert "single answered 60.00%" in summary.finding[1]


@pytest.mark.parametrize(
    ("answered", "told"),
    [
        ({"single": (0.90, 5)}, "single 1 in 10"),
        ({"single": (0.90, 5), "2active": (0.997, 5), "3active": (0.996, 5)},
         "single 1 in 10; 2active and 3active 1 in 500 to 1 in 200, not told apart"),
        ({"single": (0.90, 3), "2active": (0.997, 3)}, "single and 2active 1 in 500 to 1 in 9, not told apart"),
        ({"single": (0.90, 5), "2active": (0.95, 5)}, "single 1 in 10; 2active 1 in 20"),
    ],
)  # fmt: skip
def test_headline_says_no_more_than_the_runs_tell(answered: dict[str, tuple[float, int]], told: str) -> None:
    """Topologies that are not told apart stand together with the range of their runs, not as a ranking of medians."""
    values = {
        name: RunStats(middle, middle - (0.01 if middle < 0.99 else 0.001), middle + 0.001, runs)
        for name, (middle, runs) in answered.items()
    }
    assert headline(values) == f"Requests lost while faults struck: {told}."


def test_summary_tells_of_oversize_bodies_that_were_not_refused_for_their_size(tmp_path: Path) -> None:
    """Another answer than 413 means that something else than the size was refused."""
    folder = write_folder(tmp_path / "run", {"single": [0]})
    [run] = read_fault_runs(folder)
    bodies = [request(1, "Too large", kind=OVERSIZE), request(2, "Too large", kind=OVERSIZE)]
    wrong = [*bodies, dataclasses.replace(bodies[0], status=400)]
    told = [summarize(SETTINGS_HERE, [dataclasses.replace(run, requests=run.requests + each)]).finding
            for each in (bodies, wrong)]  # fmt: skip
    assert not any("bodies over the limit" in sentence for sentence in told[0])
    assert "1 of 3 bodies over the limit were not refused for their size (413)." in told[1]


def test_summary_leaves_lagging_windows_out(tmp_path: Path) -> None:
    """A generator that lagged gives no figure, and the finding says so."""
    folder = write_folder(tmp_path / "run", {"single": [40]}, late_s=0.5)
    summary = summarize(SETTINGS_HERE, read_fault_runs(folder))
    assert summary.topologies[0].figures["availability"] is None
    assert any("Invalid windows: 1. There the generator lagged" in sentence for sentence in summary.finding)


def test_summary_pools_only_faults_that_are_valid_in_every_topology(tmp_path: Path) -> None:
    """Availabilities over different faults cannot be compared: one lagging window takes the fault out for all."""
    folder = write_folder(tmp_path / "run", {"single": [40, 40], "2active": [0, 0]})
    (folder / "2active-1" / REQUESTS).unlink()
    requests: RowWriter[Offered] = RowWriter(folder / "2active-1" / REQUESTS, Offered)
    requests.write(request(k / 10, late_s=1.0) for k in range(80))
    requests.close()
    summary = summarize(SETTINGS_HERE, read_fault_runs(folder))
    single, two = (topology.figures["availability"] for topology in summary.topologies)
    assert single is not None
    assert two is not None
    assert (single.count, two.count) == (1, 1)
    assert any("single lost requests in crash." in sentence for sentence in summary.finding)
    assert any("2active lost none in any of these faults." in sentence for sentence in summary.finding)


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


def test_loss_matrix_is_shaded_by_the_share_and_says_it_in_words(tmp_path: Path) -> None:
    """A cell has the share, the counts and a shade that its legend names; where nothing was lost, the word none."""
    folder = write_folder(tmp_path / "run", {"single": [40, 30], "2active": [0, 0]})
    rows = {fault: cells for fault, _, cells in heat_matrix(summarize(read_settings(folder), read_fault_runs(folder)))}
    single, two = rows["crash"]
    assert (single.text, single.kind) == ("35.0%\n70 of 200\n30-40 a run", "heat4")
    assert (two.text, two.kind) == ("none\nof 200", "heat0")
    assert [cell.text for cell in rows["region"]] == ["skipped", "skipped"]


def test_courses_show_a_crash_with_a_standby_beside_the_smallest_topology(tmp_path: Path) -> None:
    """Two topologies on the same axes: where requests are lost, and where a standby takes over."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [1], "3active": [0]})
    single, two = shown_courses(read_fault_runs(folder), read_settings(folder))
    assert (single.plan.name, two.plan.name) == ("single", "2active")
    kinds = [mark.kind for mark in find_marks(two)]
    assert kinds == ["injected", "last lost", "ejected", "promoted", "repair", "readmitted", "demoted"]
    assert find_marks(single)[2].at_s == pytest.approx(3.0)
    assert sentences([single])[0].startswith("single, run 1: 40 of 100 requests lost, the router reacted after 0.10 s")


def test_tables_fit_80_columns(tmp_path: Path) -> None:
    """Three topologies with ranges over repeats fit a terminal."""
    folder = write_folder(tmp_path / "run", {"single": [40, 30], "2active": [0, 3], "3active": [0, 2]})
    summary = summarize(SETTINGS_HERE, read_fault_runs(folder))
    out = io.StringIO()
    Console(file=out, width=500).print(scorecard_table(summary), loss_table(summary))
    assert max(len(line.rstrip()) for line in out.getvalue().splitlines()) <= 80


def test_reading_a_folder_without_finished_run_is_a_users_mistake(tmp_path: Path) -> None:
    """Runs that were broken off have no run.json; a folder of such has nothing to report."""
    folder = write_folder(tmp_path / "run", {"single": [40]})
    (folder / "single-1" / RUN).unlink()
    with pytest.raises(UsageError, match="no run in it was finished"):
        write_report(EXPERIMENT, folder)


# What a run writes and shows


def test_event_log_keeps_events_of_routers_that_are_gone(tmp_path: Path) -> None:
    """Each event once, though each answer repeats it with a time that differs by rounding; none lost by a restart."""
    event = {"time": T, "event": "ejected", "predictor": "predict1", "reason": "x"}
    answers = [[event], [event | {"time": T + 0.00001}], [], [event | {"time": T + 9}]]
    states = iter({"events": events} for events in answers)
    log = EventLog(lambda: next(states))
    for _ in answers:
        log.poll()
    log.write(tmp_path)
    assert [round(each["time"] - T) for each in json.loads((tmp_path / EVENTS).read_text())] == [0, 9]


def test_action_log_writes_at_once(tmp_path: Path) -> None:
    """What was done stands in the file while the run goes on."""
    log = ActionLog(tmp_path)
    log.begin(3, "crash")
    at_s = log.note("injected", "predict1")
    assert (tmp_path / ACTIONS).read_text().splitlines()[1] == f"{at_s},3,crash,injected,predict1"
    log.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--faults", "flood"], "unknown fault 'flood': give none, crash"),
        (["--rate", "0"], "--rate: '0'"),
        (["--window", "-1"], "--window: '-1'"),
        (["--topologies", "4active"], "unknown topology '4active'"),
    ],
)
def test_failover_command_line_mistake_is_one_line(arguments: list[str], told: str) -> None:
    """The bad value and what is accepted, before anything is started."""
    with pytest.raises(UsageError) as raised:
        run_experiment(EXPERIMENT, arguments, Console(file=io.StringIO()))
    assert told in str(raised.value)
