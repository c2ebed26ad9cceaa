"""The faults: the registry, what each hits, and that each, cleared, leaves everything as it was."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock, call

import psutil
import pytest

from experiments.failover.faults import FAULTS, fault_of
from experiments.failover.faults.base import START_S, Fault
from experiments.failover.faults.slow import added_s, slow_factor
from experiments.testbed.processes import stop_all
from experiments.testbed.signals import StopRequest
from experiments.theory.fault_scenario import SLOW_FACTOR
from tests.unit.experiments.failover.hand_written import ROLES, SETTINGS_HERE, SINGLE, THREE, TWO
from tests.unit.experiments.failover.sleepers import RATE_PER_S, SEED, Sleepers, context_of, status

PLACES = {"predict1": "A", "predict2": "A", "predict3": "B"}
REGIONS = dataclasses.replace(TWO, regions=PLACES, hosts=PLACES)
SETTINGS_BRIEF = dataclasses.replace(SETTINGS_HERE, repair_after_s=0.1)
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[Sleepers]:
    """A deployment of sleeping processes; all of them are gone afterwards."""
    deployment = Sleepers(tmp_path)
    yield deployment
    stop_all(list(deployment.children.values()))


def test_registry_names_every_fault_by_its_name_with_a_control() -> None:
    """One entry per fault, under its own name, with a sentence on what is done; one control, which does nothing."""
    assert all(name == fault.name and fault.what for name, fault in FAULTS.items())
    assert {"none", "crash", "hang", "slow", "error", "refuse", "upgrade", "region", "surge"} < set(FAULTS)
    [control] = [fault for fault in FAULTS.values() if fault.is_control]
    assert (control, type(control).inject) == (FAULTS["none"], Fault.inject)


@pytest.mark.parametrize("name", FAULTS)
def test_fault_cleared_leaves_everything_as_before(sleepers: Sleepers, name: str) -> None:
    """After injecting and clearing, each process runs and is not frozen, no fault is on, nobody is drained."""
    fault = FAULTS[name]
    plan = REGIONS if name in ("region", "host", "black hole") else TWO
    context = context_of(sleepers)
    context = dataclasses.replace(context, settings=SETTINGS_BRIEF)
    targets = fault.choose(plan, 0.5)
    fault.prepare(context)
    fault.inject(context, targets)
    fault.clear(context, targets)
    assert not any(status(child) in ("gone", psutil.STATUS_STOPPED) for child in sleepers.children.values())
    assert not any(sleepers.faults.values())
    assert sleepers.drained == []
    assert [each.args for each in sleepers.hosts.mend.mock_calls] == [
        each.args for each in sleepers.hosts.cut.mock_calls
    ]
    assert context.load.mock_calls[-1:] in ([], [call.end()])


def test_crash_kills_the_process_of_an_active(sleepers: Sleepers) -> None:
    """An active predictor, never a standby, is killed: the one that stands at the share drawn."""
    chosen = [FAULTS["crash"].choose(TWO, share) for share in (0.0, 0.49, 0.5, 0.99)]
    assert chosen == [["predict1"], ["predict1"], ["predict2"], ["predict2"]]
    FAULTS["crash"].inject(context_of(sleepers), ["predict2"])
    assert status(sleepers.children["predict2"]) == "gone"
    assert sleepers.children["predict2"].exit_status == -9


def test_double_crash_hits_two_actives_where_there_are_two() -> None:
    """The one at the share drawn and the next; a topology with one active has no two to lose."""
    fault = FAULTS["double crash"]
    assert [fault.choose(THREE, share) for share in (0.0, 0.9)] == [["predict1", "predict2"], ["predict3", "predict1"]]
    assert fault.applies_to(TWO) is None
    assert fault.applies_to(SINGLE) == "it has fewer than two active predictors"


@pytest.mark.parametrize(("name", "order"), [("router restart", "upgrade"), ("router crash", "crash")])
def test_fault_of_the_router_struck_where_another_process_serves(sleepers: Sleepers, name: str, order: str) -> None:
    """The router is its target, whatever is drawn; it is over once the process from before is gone."""
    fault, context = FAULTS[name], context_of(sleepers)
    assert [fault.choose(plan, share) for plan, share in ((TWO, 0.0), (SINGLE, 0.9))] == [["router"]] * 2
    fault.prepare(context)
    fault.inject(context, ["router"])
    assert fault.why_missed(context, ["router"]) == ""
    fault.clear(context, ["router"])
    assert sleepers.router.orders == ["spare", order, "left"]
    sleepers.router.takes_over = False
    fault.inject(context, ["router"])
    assert fault.why_missed(context, ["router"]) == "no other process of the router serves"


def test_router_restart_of_an_older_run_was_a_stop_and_a_start() -> None:
    """Its settings do not say that the router was supervised: no page of it may tell of a signal that nobody sent."""
    supervised = dataclasses.replace(SETTINGS_HERE, supervised=True)
    older, newer = (fault_of("router restart", settings) for settings in (SETTINGS_HERE, supervised))
    assert (older.name, older.effect_behind("flask")) == ("router restart", None)
    assert "SIGTERM" in older.what
    assert "SIGHUP" in newer.what
    assert newer is FAULTS["router restart"]
    assert fault_of("crash", SETTINGS_HERE) is FAULTS["crash"]


def test_surge_while_down_lets_the_surge_go_once_the_predictor_is_out(
    sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed first, then out by the router, then the surge for the operator's delay."""
    context = dataclasses.replace(context_of(sleepers), settings=SETTINGS_BRIEF)
    fault = FAULTS["surge while down"]
    fault.prepare(context)
    fault.inject(context, ["predict1"])
    assert sleepers.state_of("predict1") == "down"
    assert context.load.mock_calls == [call.prepare("surge", 2 * RATE_PER_S, 0.1, SEED), call.go()]
    fault.clear(context, ["predict1"])
    assert (sleepers.state_of("predict1"), context.load.mock_calls[-1]) == ("serving", call.end())


def test_faults_leave_cold_standbys_alone() -> None:
    """Nothing runs there that could be killed or upgraded."""
    here = dict.fromkeys(ROLES, "A")
    plan = dataclasses.replace(REGIONS, regions=here, hosts=here, cold=["predict3"])
    chosen = [FAULTS[name].choose(plan, 0.5) for name in ("region", "host", "black hole", "upgrade")]
    assert chosen == [["predict1", "predict2"]] * 4


def test_fault_expected_time_has_its_repair_and_starts() -> None:
    """The operator's delay, and the start with its loading where a predictor is started: the time left counts them."""
    settings = dataclasses.replace(SETTINGS_HERE, repair_after_s=20.0, load_time_s=30.0)
    expected = {name: fault.expected_s(settings, TWO) for name, fault in FAULTS.items()}
    assert (expected["hang"], expected["router restart"]) == (20.0, 0.0)
    assert expected["crash"] == expected["refuse"] == 20.0 + START_S + 30.0
    assert expected["surge while down"] > expected["crash"]
    assert expected["upgrade"] > 3 * 30.0
    assert expected["flapping"] == 3 * (START_S + 30.0)
    assert expected["black hole"] == expected["truncated"] == 20.0


def test_hang_freezes_the_process(sleepers: Sleepers) -> None:
    """Between injecting and clearing the process is stopped, not gone."""
    FAULTS["hang"].inject(context_of(sleepers), ["predict1"])
    child = sleepers.children["predict1"]
    assert StopRequest().wait_until(lambda: status(child) == psutil.STATUS_STOPPED, 2.0, 0.01)


@pytest.mark.parametrize(
    "name", ["crash", "double crash", "region", "host", "refuse", "flapping", "hang", "surge while down"]
)
def test_fault_of_processes_that_struck_has_its_proof(sleepers: Sleepers, name: str) -> None:
    """The targets' ports refuse, or their health checks are silent; before the fault they were not so."""
    fault, context = FAULTS[name], dataclasses.replace(context_of(sleepers), settings=SETTINGS_BRIEF)
    if name != "refuse":  # which goes on until it is so
        assert fault.why_missed(context, ["predict1"]).startswith("predict1 ")
    fault.prepare(context)
    fault.inject(context, ["predict1", "predict2"])
    assert fault.why_missed(context, ["predict1", "predict2"]) == ""


def test_crash_that_leaves_one_of_its_targets_is_no_crash(sleepers: Sleepers) -> None:
    """Each of them must have gone."""
    FAULTS["crash"].inject(context_of(sleepers), ["predict1"])
    assert FAULTS["double crash"].why_missed(context_of(sleepers), ["predict1", "predict2"]).startswith("predict2 ")


def test_refuse_kills_what_a_polite_stop_leaves_behind(sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its grace; only where the port refuses even then not, the fault has missed."""
    context = context_of(sleepers)
    assert FAULTS["refuse"].why_missed(context, ["predict1"]) == ""
    assert status(sleepers.children["predict1"]) == "gone"
    monkeypatch.setattr(sleepers, "why_not_refused", lambda name: f"{name} has a double")
    assert FAULTS["refuse"].why_missed(context, ["predict1"]) == "predict1 has a double"


@pytest.mark.parametrize(
    ("name", "own", "sidecar"),
    [
        ("slow", {"service_time_factor": 10.0}, {"added_s": 1.8}),
        ("error", {"fails": True}, {"fails": True}),
        ("stall", {"stalls": True}, {"stalls": True}),
        ("truncated", {"truncates": True}, {"truncates": True}),
        ("reset", {"resets": True}, {"resets": True}),
    ],
)
def test_switched_fault_is_set_in_the_rigs_own_predictor_or_in_the_sidecar(
    sleepers: Sleepers, name: str, own: dict[str, object], sidecar: dict[str, object]
) -> None:
    """The measured service time, 0.2 s, times 9 is what a sidecar adds."""
    for sleepers.sidecars, expected in ((False, own), (True, sidecar)):
        FAULTS[name].inject(context_of(sleepers), ["predict1"])
        assert sleepers.faults == {"predict1": expected}


def test_slow_adds_a_second_at_least() -> None:
    """Ten times a millisecond is not slow; theory reckons with what is added."""
    assert (added_s(0.001), added_s(1.0)) == (1.0, 9.0)
    assert slow_factor(SETTINGS_HERE) == SLOW_FACTOR


def test_switched_fault_that_meets_no_prediction_has_missed(sleepers: Sleepers) -> None:
    """It is waited for as long as the fault lasts."""
    context = dataclasses.replace(context_of(sleepers), settings=SETTINGS_BRIEF)
    assert FAULTS["stall"].why_missed(context, ["predict1"]) == ""
    sleepers.has_struck.return_value = False
    assert FAULTS["stall"].why_missed(context, ["predict1"]) == "no prediction reached predict1 within 0.1 s"
    assert sleepers.has_struck.call_args.args == ("predict1", "stall")


def test_frozen_child_is_ended_by_a_polite_stop(sleepers: Sleepers) -> None:
    """A frozen process gets SIGTERM, for it is thawed with it: no stopped process stays behind."""
    child = sleepers.children["predict1"]
    child.freeze()
    child.stop()
    assert child.exit_status == -15


def test_upgrade_stops_nobody_who_is_not_drained(sleepers: Sleepers) -> None:
    """Planned work takes each predictor out before it stops it, all in turn."""
    targets = FAULTS["upgrade"].choose(TWO, 0.5)
    before = {name: sleepers.children[name].pid for name in targets}
    FAULTS["upgrade"].inject(context_of(sleepers), targets)
    assert targets == list(ROLES)
    assert sleepers.undrained_stops == []
    assert all(sleepers.children[name].pid != pid for name, pid in before.items())
    assert sleepers.upgraded == targets


def test_region_hits_all_of_an_actives_region_where_there_is_one() -> None:
    """Every predictor of the region goes, and no other; a topology whose entries name no region has none to lose."""
    assert FAULTS["region"].choose(REGIONS, 0.5) == ["predict1", "predict2"]
    assert FAULTS["region"].applies_to(TWO) == "no active predictor's entry names a region"
    assert all(fault.applies_to(REGIONS) is None for fault in FAULTS.values())


def test_host_is_cut_off_before_its_processes_end_and_back_before_they_start(sleepers: Sleepers) -> None:
    """So nothing tells of their end; a topology whose entries name no other host has none to lose."""
    fault, context = FAULTS["host"], context_of(sleepers)
    assert fault.applies_to(TWO) == "no active predictor's entry names a host other than the router's"
    targets = fault.choose(REGIONS, 0.5)
    assert targets == ["predict1", "predict2"]
    seen: list[list[str]] = []
    sleepers.hosts.cut.side_effect = sleepers.hosts.mend.side_effect = lambda names: seen.append(
        [status(sleepers.children[name]) for name in names]
    )
    fault.inject(context, targets)
    fault.clear(context, targets)
    assert seen == [[psutil.STATUS_SLEEPING] * 2, ["gone"] * 2]


def test_black_hole_cuts_the_link_of_processes_that_live_on(sleepers: Sleepers) -> None:
    """All on the host, as when that is lost; it has missed where their ports answer all the same."""
    fault, context = FAULTS["black hole"], context_of(sleepers)
    targets = fault.choose(REGIONS, 0.5)
    before = {name: child.pid for name, child in sleepers.children.items()}
    fault.inject(context, targets)
    assert sleepers.hosts.mock_calls == [call.cut(["predict1", "predict2"])]
    assert fault.why_missed(context, targets) == "predict1 is there"
    fault.clear(context, targets)
    assert sleepers.hosts.mock_calls[1:] == [call.mend(["predict1", "predict2"])]
    assert {name: child.pid for name, child in sleepers.children.items()} == before


def test_flapping_kills_three_times_and_starts_at_once(sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time what serves by then; each kill is recorded; the proof is asked for after the first."""
    fault, recorded, killed = FAULTS["flapping"], Mock(), list[int]()
    context = dataclasses.replace(context_of(sleepers), record=recorded)
    kill = sleepers.kill
    monkeypatch.setattr(sleepers, "kill", lambda names: (killed.append(sleepers.children[names[0]].pid), kill(names)))
    fault.inject(context, ["predict2"])
    assert (fault.why_missed(context, ["predict2"]), len(killed)) == ("", 1)
    fault.clear(context, ["predict2"])
    assert len(set(killed)) == 3
    assert sleepers.children["predict2"].pid not in killed
    assert recorded.mock_calls == [call("killed", "predict2")] * 3


def test_importing_the_faults_loads_nothing_that_starts_processes() -> None:
    """Figures read what a fault is; only a run acts."""
    program = "import sys, experiments.failover.faults; print([n for n in sys.modules if 'testbed' in n])"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.stdout == "[]\n"


def test_surge_triples_the_rate_for_the_operators_delay(sleepers: Sleepers) -> None:
    """Twice the load under which it strikes comes on top of it."""
    context = context_of(sleepers)
    FAULTS["surge"].prepare(context)
    FAULTS["surge"].inject(context, [])
    assert context.load.mock_calls == [call.prepare("surge", 2 * RATE_PER_S, 3.0, SEED), call.go()]


def test_saturation_is_twice_what_all_slots_serve_beside_the_load(sleepers: Sleepers) -> None:
    """30 slots of 0.2 s serve 150 requests/s, standbys included; the rate of the load does not matter."""
    context = context_of(sleepers)
    FAULTS["saturation"].prepare(context)
    FAULTS["saturation"].inject(context, [])
    assert context.load.mock_calls == [call.prepare("saturation", 300.0, 3.0, SEED), call.go()]
