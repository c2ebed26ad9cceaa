"""The figures of one fault's window, from hand-written records."""

import dataclasses
import random
from pathlib import Path

import pytest

from experiments.failover.records import (
    OVERSIZE,
    SURGE,
    Action,
    DomainPlan,
    FailoverSettings,
    SteadyRequest,
    read_fault_runs,
)
from experiments.failover.window_metrics import WindowFigures, measure_window
from experiments.failover.windows import find_windows, generator_on_time, windows_of
from experiments.results.records import Event
from tests.unit.experiments.failover.hand_written import (
    EVENTS_OF_CRASH,
    ROLES,
    SETTINGS_HERE,
    THREE,
    TWO,
    T,
    fault_steps,
    request,
    write_run,
)


def figures(
    tmp_path: Path,
    requests: list[SteadyRequest],
    plan: DomainPlan = TWO,
    actions: list[Action] | None = None,
    events: list[Event] | None = None,
    settings: FailoverSettings = SETTINGS_HERE,
) -> WindowFigures:
    """The figures of the first window of a run with these records."""
    write_run(tmp_path, plan)
    [run] = read_fault_runs(tmp_path)
    actions = actions or fault_steps()
    events = EVENTS_OF_CRASH if events is None else events
    run = dataclasses.replace(run, requests=requests, events=events, actions=actions)
    return measure_window(windows_of(run, dataclasses.replace(settings, topologies=[plan]))[0])


def test_window_counts_what_was_sent_in_it_and_what_was_in_flight_at_its_start(tmp_path: Path) -> None:
    """What was sent in it counts, however late it was answered, and what the fault met; what was over by then not."""
    met = [request(-0.01, "down"), request(-0.2), request(-0.3, kind=OVERSIZE, latency_s=1.0)]
    over = [request(-0.3), request(-0.5, "down")]
    found = figures(
        tmp_path, [*met, *over, request(0.0), request(9.9, latency_s=8.0), request(10.0, "down"), request(5, "down")]
    )
    assert (found.offered, found.lost, found.lost_by_reason) == (5, 2, {"down": 2})
    assert found.availability == pytest.approx(3 / 5)
    assert found.offered_rate_per_s == pytest.approx(0.3)
    assert found.throughput_per_s == pytest.approx(0.2)
    assert found.downtime_s == pytest.approx(2 / 0.3, abs=1e-3)


def test_delayed_is_a_good_answer_over_half_a_second_late(tmp_path: Path) -> None:
    """Later than the service time and 0.5 s, those in flight when the fault struck included; a lost one is lost."""
    late = [request(-0.1, latency_s=0.8), request(1, latency_s=0.71), request(2, latency_s=0.69)]
    found = figures(tmp_path, [*late, request(3, "timeout", latency_s=9.0)])
    assert (found.delayed, found.lost) == (2, 1)


def test_window_counts_the_surge_and_not_the_oversize_bodies(tmp_path: Path) -> None:
    """Requests of a surge are offered like any other; to refuse an oversize body is no loss."""
    found = figures(tmp_path, [request(1), request(2, kind=SURGE), request(3, "Too large", kind=OVERSIZE)])
    assert (found.offered, found.lost) == (2, 0)
    assert (found.oversize_sent, found.oversize_refused) == (1, 1)


def test_refused_are_those_lost_that_were_answered_so(tmp_path: Path) -> None:
    """By 429, 502 or 503: no 504, no error of a server's, no silence, no good answer, no body over the limit."""
    statuses = {429: 0.1, 502: 0.3, 503: 0.8, 504: 5.0, 500: 6.0, 0: 2.5}
    lost = [
        dataclasses.replace(request(1.0, "lost", latency_s=latency_s), status=status)
        for status, latency_s in statuses.items()
    ]
    over = request(2.0, "too large", OVERSIZE, latency_s=9.0)
    found = figures(tmp_path, [request(0.5), *lost, over])
    assert (found.lost, found.refused, found.refused_after_s, found.longest_wait_s) == (6, 3, 0.3, 6.0)


def test_longest_wait_is_that_of_any_request_offered(tmp_path: Path) -> None:
    """A good answer's too, the service time included, and that of one in flight; none is null."""
    found = figures(tmp_path, [request(-1.0, latency_s=1.5), request(1.0, latency_s=0.2), request(2.0, "down")])
    assert (found.longest_wait_s, found.refused, found.refused_after_s) == (1.5, 1, 0.21)
    none = figures(tmp_path / "none", [request(-1.0)])
    assert (none.longest_wait_s, none.refused, none.refused_after_s) == (None, 0, None)


def test_window_lasts_until_all_is_as_planned(tmp_path: Path) -> None:
    """Its length is the settings', or longer where the recovery is."""
    late = [dataclasses.replace(a, time_s=T + 13) if a.action == "recovered" else a for a in fault_steps()]
    assert figures(tmp_path, [request(12, "down")], actions=late).lost == 1
    assert figures(tmp_path / "b", [request(12, "down")]).offered == 0


def test_added_wait_is_that_of_answers(tmp_path: Path) -> None:
    """The longest good answer and the 99th percentile, less the service time; a lost request waits for nothing."""
    answers = [request(k / 100, latency_s=0.3) for k in range(99)]
    found = figures(tmp_path, [*answers, request(1, latency_s=0.7), request(2, "timeout", latency_s=10.0)])
    assert found.longest_added_wait_s == pytest.approx(0.5)
    assert found.added_wait_p99_s == pytest.approx(0.1)


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


def test_redundancy_is_taken_from_the_last_event_not_from_the_operators_first_look(tmp_path: Path) -> None:
    """A fault that the router notices after the operator has looked is not over at that look."""
    looked = [dataclasses.replace(a, time_s=T + 3) if a.action == "recovered" else a for a in fault_steps("hang")]
    events = [Event(T + 4, "ejected", "predict1", ""), Event(T + 5.18, "readmitted", "predict1", "")]
    found = figures(tmp_path, [request(1)], plan=THREE, actions=looked, events=events)
    assert (found.recovery_s, found.redundancy_s) == (5.18, 5.18)


@pytest.mark.parametrize("seed", range(200))
def test_redundancy_is_never_below_recovery(tmp_path: Path, seed: int) -> None:
    """Slots are missing only while some predictor is not as planned, whatever the router says and in which order."""
    rng = random.Random(seed)
    kinds = ["ejected", "failed", "readmitted", "recovered", "drained", "ready", "promoted", "demoted", "saturated"]
    events = [
        Event(T + at_s, rng.choice(kinds), rng.choice(list(ROLES)), "")
        for at_s in sorted(rng.uniform(0, 10) for _ in range(rng.randrange(12)))
    ]
    looked_s = rng.uniform(0, 10)
    actions = [dataclasses.replace(a, time_s=T + looked_s) if a.action == "recovered" else a for a in fault_steps()]
    found = figures(tmp_path, [request(1)], rng.choice([TWO, THREE]), actions, events)
    if found.recovery_s is not None:
        assert found.redundancy_s is not None
        assert found.redundancy_s >= found.recovery_s


def test_upgrade_window_ends_when_the_last_predictor_is_ready(tmp_path: Path) -> None:
    """An upgrade's availability is that of the upgrade, not of the calm after it."""
    drains = [Event(T + 0.1, "drained", "predict1", "operator"), Event(T + 2, "ready", "predict1", "operator")]
    found = figures(tmp_path, [request(5), request(7, "down")], actions=fault_steps("upgrade", "predict1+predict2"),
                    events=drains, plan=THREE)  # fmt: skip
    assert (found.length_s, found.offered, found.recovery_s) == (6.0, 1, 2.0)


def test_upgrade_takes_the_slots_of_one_predictor_after_the_other(tmp_path: Path) -> None:
    """Of unequal predictors the largest share counts, not the sum of all that are upgraded."""
    plan = dataclasses.replace(TWO, capacities={"predict1": 10, "predict2": 25, "predict3": 15})
    found = figures(tmp_path, [request(1)], plan, fault_steps("upgrade", "predict1+predict2"), events=[])
    assert found.capacity_lost_share == 0.5


def test_router_that_is_gone_recovers_when_it_serves_again(tmp_path: Path) -> None:
    """Without the router no slot is in rotation, whatever its last event log said."""
    for fault in ("router crash", "router restart"):  # that of an older run, which was a stop and a start
        found = figures(tmp_path / fault, [request(1)], actions=fault_steps(fault, "router"), events=[])
        assert (found.recovery_s, found.redundancy_s, found.capacity_lost_share) == (6.0, 9.0, 1.0)


@pytest.mark.parametrize(("fault", "engine"), [("router restart", "flask"), ("router crash", "haproxy")])
def test_router_that_serves_all_along_has_nothing_to_recover(tmp_path: Path, fault: str, engine: str) -> None:
    """Its successor takes over, or HAProxy goes on without it: no slot is missing meanwhile."""
    settings = dataclasses.replace(SETTINGS_HERE, supervised=True, engine=engine)
    found = figures(tmp_path, [request(1)], actions=fault_steps(fault, "router"), events=[], settings=settings)
    assert (found.recovery_s, found.redundancy_s, found.capacity_lost_share) == (None, None, 0.0)


def test_generator_that_lags_makes_the_window_invalid(tmp_path: Path) -> None:
    """More than 1 % of the requests over 0.1 s late: the window says nothing about the topology."""
    on_time = [request(k / 100) for k in range(99)]
    assert figures(tmp_path, [*on_time, request(1, late_s=5.0)]).valid
    assert not figures(tmp_path / "b", [*on_time, request(1, late_s=5.0), request(2, late_s=0.2)]).valid
    stalled = [request(9 + k / 100, late_s=2.0) for k in range(10)]
    assert not figures(tmp_path / "c", [*on_time, *stalled]).valid, "sent after the window's end, due in it"
    assert not figures(tmp_path / "d", []).valid, "nothing was offered"


def test_window_counts_losses_until_the_generator_is_as_late_as_a_fault_is_long(tmp_path: Path) -> None:
    """Between 0.1 and 1 s late its times and delays say nothing, its losses still do."""
    found = [figures(tmp_path / str(late_s), [request(1, late_s=late_s)]) for late_s in (0.05, 0.5, 1.0)]
    assert [each.valid for each in found] == [True, False, False]
    assert [each.counts_losses for each in found] == [True, True, False]
    assert not figures(tmp_path / "none", []).counts_losses


@pytest.mark.parametrize(
    ("requests", "on_time"),
    [
        ([request(k / 10) for k in range(100)], True),
        ([request(k / 10, late_s=0.2 if k == 50 else 0.0) for k in range(100)], True),
        ([request(k / 10, late_s=0.2 if k in (50, 51) else 0.0) for k in range(100)], False),
        ([request(9.9, late_s=5.0)], False),
        ([request(5, kind=OVERSIZE)], False),
        ([], False),
    ],
)
def test_generator_with_more_than_one_in_a_hundred_late_is_not_on_time(
    requests: list[SteadyRequest], on_time: bool
) -> None:
    """Over 0.1 s late; nor is one that sent nothing, or none of what was due in the window: the fault is repeated."""
    [window] = find_windows(fault_steps(), SETTINGS_HERE)
    assert generator_on_time(window, requests) is on_time


def test_refusals_and_changes_of_topology_among_the_events_change_no_figure(tmp_path: Path) -> None:
    """Events that are about no predictor are no reaction, no recovery and no end of one."""
    sent = [request(1), request(2, "saturated")]
    others = [Event(T + at_s, "refused", "", "saturated: every predictor is full") for at_s in (0.05, 6.5, 9.5)]
    events = sorted([*EVENTS_OF_CRASH, *others], key=lambda event: event.time)
    assert figures(tmp_path, sent, events=events) == figures(tmp_path / "b", sent)
