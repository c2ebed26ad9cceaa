"""What a failover run says about the answer's inputs: of records made by hand, and of the kept run."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import UsageError
from experiments.answer.measured import Measured
from experiments.failover.measured_inputs import measure_inputs
from experiments.failover.records import (
    Action,
    DomainPlan,
    FailoverRun,
    FailoverSettings,
    FaultRun,
    OfferedLoad,
    SteadyRequest,
    read_fault_runs,
)
from experiments.results.records import Event, ServerRecord
from experiments.results.store import SETTINGS, read_record
from tests.harness.server_records import QUEUEING, SERVER
from tests.unit.experiments.failover.hand_written import (
    EVENTS_OF_CRASH,
    SETTINGS_HERE,
    SINGLE,
    THREE,
    TWO,
    T,
    fault_steps,
    request,
)

KEPT = Path(__file__).resolve().parents[3] / "frozen" / "runs" / "failover"
HERE = dataclasses.replace(SETTINGS_HERE, supervised=True)


def steps_at(begins_s: float, fault: str, target: str, number: int) -> list[Action]:
    """A fault's actions, so long after the first."""
    return [dataclasses.replace(each, time_s=each.time_s + begins_s) for each in fault_steps(fault, target, number)]


def run_of(
    plan: DomainPlan, actions: list[Action], requests: list[SteadyRequest], events: list[Event] = EVENTS_OF_CRASH
) -> FaultRun:
    """A run by hand."""
    return FaultRun(Path(), FailoverRun(plan.name, 1, T, T + 60), actions, requests, events, [], {})


CRASH = [*fault_steps(), *steps_at(20, "none", "", 2), *steps_at(40, "router crash", "router", 3)]
REQUESTS = [request(k / 10, latency_s=0.25 if k >= 200 else 0.9) for k in range(550)]
LOST = [request(40 + k / 10, "connection broke") for k in range(3)]


def measured(settings: FailoverSettings = HERE, runs: list[FaultRun] | None = None) -> Measured:
    """What a crash, a window without a fault and a router's crash say."""
    return measure_inputs(settings, runs or [run_of(TWO, CRASH, [*REQUESTS, *LOST])], "results/mine")


def test_inputs_are_those_of_the_run_with_its_name() -> None:
    """The calm load's rate, the slots, the median answer without a fault: 100 sent then and 8 in flight before."""
    inputs = measured().inputs
    assert (inputs["rate"].value, inputs["rate"].source) == (10.0, "set in run results/mine: its load calm")
    assert (inputs["threshold"].value, inputs["threshold"].unit) == (10, "slots")
    assert inputs["service_time"].value == 0.25
    assert inputs["service_time"].source == "measured in run results/mine: the median of 108 answers without a fault"
    assert "load_time" not in inputs
    assert "saturation" not in inputs


def test_service_time_of_a_users_own_server_is_measured_in_the_run_unless_it_queues() -> None:
    """Under load a request of one that queues waits as well; a record without a mean has the median alone."""
    newer = dataclasses.replace(QUEUEING, preflight=dataclasses.replace(QUEUEING.preflight, mean_s=0.26))
    found = [
        measured(dataclasses.replace(HERE, server=each, service_time_s=0.2)).inputs["service_time"]
        for each in (SERVER, newer, QUEUEING)
    ]
    assert [each.value for each in found] == [0.2981, 0.26, 0.2]
    assert [each.source.partition(": ")[2] for each in found] == [
        "the mean of 108 answers without a fault",
        "the mean of 15 predictions, one at a time",
        "the median of 15 predictions, one at a time",
    ]


def test_rate_is_the_first_loads_where_none_is_calm() -> None:
    """A run under n+1 alone."""
    loads = [OfferedLoad("n+1", 30.0, "by hand", ["crash"])]
    actions = [dataclasses.replace(each, load="n+1") for each in CRASH]
    found = measured(dataclasses.replace(HERE, loads=loads), [run_of(TWO, actions, REQUESTS)])
    assert (found.inputs["rate"].value, found.inputs["rate"].source) == (30.0, "set in run results/mine: its load n+1")


def test_rate_and_edges_are_the_calm_loads_wherever_it_stands() -> None:
    """Under a greater load a fault's edge is not what it costs all year."""
    loads = [OfferedLoad("n+1", 30.0, "by hand", ["crash"]), OfferedLoad("calm", 10.0, "by hand", ["crash"])]
    found = measured(dataclasses.replace(HERE, loads=loads))
    assert found.inputs["rate"].value == 10.0
    assert len(found.edges["2active, warm standby"].lost) == 1


def test_service_time_is_the_setting_where_no_window_was_without_a_fault() -> None:
    """And says so."""
    found = measured(runs=[run_of(TWO, fault_steps(), REQUESTS)]).inputs["service_time"]
    assert (found.value, found.source.startswith("set in run results/mine")) == (0.2, True)


def test_start_time_is_the_repairs_start_less_the_loading() -> None:
    """Started at 3 s and ready at 6 s, of which it loaded for 1.2 s."""
    found = measured(dataclasses.replace(HERE, load_time_s=1.2)).inputs
    assert (found["load_time"].value, found["start_time"].value) == (1.2, 1.8)
    assert (found["start_time"].source, found["start_time"].low) == (
        "measured in run results/mine: one start, less the loading",
        None,
    )


def test_start_time_has_a_range_where_starts_differ() -> None:
    """Nine in ten of them lie in it."""
    slower = [
        dataclasses.replace(each, time_s=each.time_s + 2) if each.action in ("repaired", "recovered") else each
        for each in fault_steps()
    ]
    found = measured(runs=[run_of(TWO, fault_steps(), REQUESTS), run_of(TWO, slower, REQUESTS)]).inputs["start_time"]
    assert (found.value, found.low, found.high) == (4.0, 3.1, 4.9)


def test_start_time_of_a_cold_standby_is_from_its_order_until_it_serves() -> None:
    """Ordered after 0.2 s, found well by the router after 2.7 s."""
    cold = dataclasses.replace(TWO, name="2cold", cold=["predict3"])
    events = [EVENTS_OF_CRASH[0], Event(T + 2.7, "started", "predict3", "health checks pass"), *EVENTS_OF_CRASH[2:]]
    actions = [*CRASH, Action(T + 0.2, 1, "crash", "started", "predict3")]
    settings = dataclasses.replace(HERE, topologies=[cold])
    assert measured(settings, [run_of(cold, actions, REQUESTS, events)]).inputs["start_time"].value == 2.5


def test_router_loss_is_what_its_crashes_lost_per_request_in_flight() -> None:
    """3 of 2.5 in the mean: 10 requests/s of 0.25 s. A topology that is overloaded loses without it."""
    found = measured().inputs["router_loss"]
    assert (found.value, found.source) == (
        1.2,
        "measured in run results/mine: 3 lost in 1 fault (router crash), 2.5 in flight",
    )
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.2 < found.high
    small = dataclasses.replace(SINGLE, capacities={"predict1": 1})
    settings = dataclasses.replace(HERE, topologies=[TWO, small])
    overloaded = run_of(small, CRASH, [*REQUESTS, *(request(40 + k / 10, "saturated") for k in range(90))])
    found = measured(settings, [run_of(TWO, CRASH, [*REQUESTS, *LOST]), overloaded]).inputs["router_loss"]
    assert found.value == 1.2


def test_router_loss_is_left_out_where_no_fault_hit_the_router() -> None:
    """Then the default counts."""
    assert "router_loss" not in measured(runs=[run_of(TWO, fault_steps(), REQUESTS)]).inputs


def test_edges_are_of_the_calm_load_by_deployment() -> None:
    """One value per crash and topology; answers without a fault set the erlangs."""
    found = measured(runs=[run_of(TWO, CRASH, REQUESTS), run_of(THREE, CRASH, REQUESTS)])
    assert {name: len(each.lost) for name, each in found.edges.items()} == {"2active, warm standby": 1, "3active": 1}
    assert [each.deployment for each in found.one_down] == ["2active, warm standby", "3active"]
    assert found.edges["3active"].delayed == (100 / 2.5,)  # all of the ten seconds of the crash take 0.9 s


def test_run_without_such_a_fault_is_refused_with_what_would_have_one() -> None:
    """One line: which run, what it lacks, and a command that measures it."""
    with pytest.raises(UsageError) as error:
        measured(runs=[run_of(TWO, CRASH[5:], REQUESTS)])
    assert str(error.value) == (
        "results/mine: no fault takes one predictor away until its repair; "
        "python -m experiments failover --faults none,crash --no-capacity measures one"
    )


def test_predictions_that_take_no_time_are_refused() -> None:
    """No load holds a slot then."""
    with pytest.raises(UsageError, match="--service-time"):
        measured(dataclasses.replace(HERE, service_time_s=0.0), [run_of(TWO, fault_steps(), REQUESTS)])


def test_server_that_queues_has_its_saturation_and_no_check_by_erlang_b() -> None:
    """So many at once in so long."""
    found = measured(dataclasses.replace(HERE, server=QUEUEING, service_time_s=QUEUEING.preflight.service_time_s))
    preflight = QUEUEING.preflight
    assert preflight.latency_at_once_s is not None
    saturation = found.inputs["saturation"]
    assert saturation.value == pytest.approx(preflight.at_once / preflight.latency_at_once_s, abs=1e-4)
    assert (found.queues, found.one_down) == (QUEUEING.why_no_theory, ())
    assert found.edges
    assert found.inputs["load_time"].value == preflight.ready_after_s


@pytest.mark.parametrize(
    ("server", "command", "named"),
    [
        (None, "python -m experiments failover", ""),
        (SERVER, "python -m experiments failover --server 'my own.json' --rate 3", "my own.json"),
        (SERVER, "python -m experiments failover --topologies servers.json", None),
    ],
)
def test_server_is_named_as_the_runs_command_does(server: ServerRecord | None, command: str, named: str | None) -> None:
    """So that the answer's deployment can be measured with it; topologies may name servers of their own."""
    settings = dataclasses.replace(HERE, server=server, command=command, service_time_s=0.2)
    assert measured(settings).server == named


@pytest.mark.parametrize(
    "change",
    [
        lambda server: dataclasses.replace(server, differ=True),
        lambda server: dataclasses.replace(
            server, preflight=dataclasses.replace(server.preflight, latency_at_once_s=None, good_at_once=0)
        ),
        lambda server: dataclasses.replace(
            server, preflight=dataclasses.replace(server.preflight, good_at_once=server.preflight.asked_at_once - 1)
        ),
    ],
)
def test_server_of_unknown_saturation_is_refused(change: Callable[..., object]) -> None:
    """It queues or refuses, or its predictors differ, and nothing says how much they answer."""
    settings = dataclasses.replace(HERE, server=change(SERVER), service_time_s=0.2)
    with pytest.raises(UsageError, match="its saturation is not known"):
        measured(settings)


def test_engine_that_theory_has_no_model_of_is_measured_all_the_same() -> None:
    """HAProxy's faults take predictors away too; nothing is predicted of them."""
    found = measured(dataclasses.replace(HERE, engine="haproxy"))
    assert [each.predicted for each in found.one_down] == [None]
    assert found.edges


def test_kept_run_says_what_can_be_counted_in_its_files() -> None:
    """Four crashes of each; a router that had no supervisor lost 21 requests in four restarts before 2active."""
    settings = read_record(FailoverSettings, KEPT / SETTINGS)
    found = measure_inputs(settings, read_fault_runs(KEPT), "kept")
    assert {name: len(each.lost) for name, each in found.edges.items()} == {"single": 4, "2active, warm standby": 4}
    assert found.inputs["router_loss"].source.startswith("measured in run kept: 21 lost in 4 faults (router restart)")
    by_topology = {each.topology: each for each in found.one_down}
    assert (by_topology["single"].refused, by_topology["2active"].refused) == (by_topology["single"].sent, 0)
    assert all(each.formula_holds for each in found.one_down)
