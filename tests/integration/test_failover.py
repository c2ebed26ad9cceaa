"""`python -m experiments failover` with real processes: a fast whole run, and the predictors' own faults."""

import csv
import http.client
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from cli import CommandError
from experiments.experiment import main as report
from experiments.experiment import run_experiment
from experiments.failover import fault_sequence
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.windows import MOST_LATENESS_S
from experiments.testbed.deployment import Deployment
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import find_topology
from tests.harness.experiment import ExperimentProcess, left_behind
from tests.harness.http_client import fetch
from tests.harness.light import light_project
from tests.harness.project import topology_files

FAST = ["--no-capacity", "--repair-after", "1", "--window", "4", "--hold-down", "0.5", "--seed", "1"]
LOW_RATE = ["--rate", "10", "--loads", "calm"]  # the run is looked at, not the topology
SERVICE_TIME_S = 0.05
FROZEN_S = 1.0


@pytest.mark.usefixtures("no_charts", "few_years")
def test_failover_crashes_of_predictor_and_router_are_measured_from_records(
    start: Callable[..., ExperimentProcess], tmp_path: Path
) -> None:
    """Faults are told by the records, twice alike; a window in which the generator lagged is invalid, and repeated."""
    before = topology_files()
    faults = ["--faults", "none,crash,flapping,saturation,router restart,router crash"]
    run = start("failover", "--topologies", "2active", *faults, *FAST, *LOW_RATE, light=True)
    freeze_load(run)
    out = run.finish()
    assert (left_behind(tmp_path), topology_files()) == ([], before)
    assert "What a fault costs" in out
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    control, crash, flapping, saturation, restart, router_crash, *again = summary["topologies"][0]["windows"]
    assert (control["fault"], control["targets"], crash["fault"], again[0]["fault"]) == ("none", [], "crash", "none")
    assert control["lateness_p99_s"] > MOST_LATENESS_S
    assert crash["targets"][0] in ("predict1", "predict2")
    assert 0 <= crash["response_s"] <= crash["standby_answer_s"] <= crash["redundancy_s"]
    assert crash["recovery_s"] is not None
    assert crash["offered"] > 0
    check_flapping(tmp_path / "a" / "2active-1", flapping)
    check_saturation(tmp_path / "a" / "2active-1", saturation)
    check_load(tmp_path / "a" / "2active-1", rate_per_s=summary["settings"]["rate_per_s"])
    check_router_faults(tmp_path / "a" / "2active-1", restart, router_crash)
    made = {name: (tmp_path / "a" / name).read_bytes() for name in ("summary.json", "report.html", "timeline.svg")}
    report([str(tmp_path / "a")], Console(file=io.StringIO(), width=80))
    assert {name: (tmp_path / "a" / name).read_bytes() for name in made} == made


@pytest.mark.usefixtures("no_charts", "few_years")
def test_failover_standby_that_the_load_keeps_promoted_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a load above half of the actives' slots no standby steps back: the operator puts it back, and says so."""
    monkeypatch.setattr(fault_sequence, "BACK_WITHIN_S", 4.0)
    load = [
        "--threshold",
        "2",
        "--rate",
        "25",
        "--repeats",
        "1",
        "--faults",
        "surge",
        "--topologies",
        "2active",
        "--loads",
        "calm",
    ]
    options = [*load, *FAST, "--out", str(tmp_path / "a")]
    run_experiment(EXPERIMENT, options, Console(file=io.StringIO(), width=80), light_project(tmp_path))
    assert ",surge,put back,predict3" in (tmp_path / "a" / "2active-1" / "faults.csv").read_text()


def test_failover_offers_the_greater_load_on_top_of_calm(
    start: Callable[..., ExperimentProcess], tmp_path: Path
) -> None:
    """First calm's faults, then those of n+1 while more is sent beside; two killed at once are both back after it."""
    faults = ["--faults", "double crash,surge while down", "--threshold", "4", "--topologies", "2active"]
    start("failover", *FAST, *faults, light=True).finish()
    settings = json.loads((tmp_path / "a" / "settings.json").read_text())
    calm, greater = (load["rate_per_s"] for load in settings["loads"])
    folder = tmp_path / "a" / "2active-1"
    actions = rows_of(folder / "faults.csv")
    injected = [(row["load"], row["fault"], row["target"]) for row in actions if row["action"] == "injected"]
    assert list(dict.fromkeys(load for load, *_ in injected)) == ["calm", "n+1"]
    twice = {tuple(sorted(target.split("+"))) for _, fault, target in injected if fault == "double crash"}
    assert twice == {("predict1", "predict2")}
    assert sum(row["action"] == "recovered" for row in actions) == len(injected)
    raised_s = min(float(row["due_at_s"]) for row in rows_of(folder / "requests.more.csv"))
    assert {row["kind"] for row in rows_of(folder / "requests.more.csv")} == {"more"}
    due = [float(row["due_at_s"]) for name in ("requests.csv", "requests.more.csv") for row in rows_of(folder / name)]
    after = [due_s for due_s in due if due_s >= raised_s]
    assert (len(due) - len(after)) / (raised_s - min(due)) == pytest.approx(calm, rel=0.4)
    assert len(after) / (max(after) - raised_s) == pytest.approx(greater, rel=0.3)
    check_surge_while_down(folder, actions)


def check_surge_while_down(folder: Path, actions: list[dict[str, str]]) -> None:
    """It was sent after the router had taken the predictor out, and before that was started again."""
    [first, *_] = [row for row in actions if row["fault"] == "surge while down"]
    moments = {row["action"]: float(row["time_s"]) for row in actions if row["window"] == first["window"]}
    surge = [float(row["due_at_s"]) for row in rows_of(folder / "requests.surge-1.csv")]
    assert moments["injected"] < moments["surge"] < min(surge)
    assert max(surge) < moments["repair"] + 0.5


def test_failover_cold_standby_is_started_when_wanted_and_stopped_after_failback(
    start: Callable[..., ExperimentProcess], tmp_path: Path
) -> None:
    """A crash: the operator starts it, it loads, serves and steps back; then as planned it does not run."""
    options = ["--topologies", "2cold", "--faults", "crash", "--load-time", "1", "--repair-after", "5"]
    run = start("failover", *FAST, *LOW_RATE, *options, "--no-resend", light=True)
    run.wait_for("2cold-1/faults.csv", "started,predict3")
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    own = [command for command in commands if str(run.out) in command or "predict" in command]
    assert any("router.py" in command and "--no-resend" in command for command in own)
    assert any("predict3.py" in command and "--load-time 1.0" in command for command in own)
    run.finish()
    assert left_behind(tmp_path) == []
    folder = run.out / "2cold-1"
    done = [row["action"] for row in rows_of(folder / "faults.csv")]
    order = ["injected", "started", "repaired", "stopped", "recovered"]
    assert [action for action in done if action in order][: len(order)] == order
    assert "predict3" in {row["predictor"] for row in rows_of(folder / "requests.csv")}
    states = {row["state"] for row in rows_of(folder / "loads.csv") if row["predictor"] == "predict3"}
    assert {"cold", "loading", "serving"} <= states
    assert json.loads((run.out / "settings.json").read_text())["topologies"][0]["cold"] == ["predict3"]


def test_failover_until_decided_begins_no_repeat_that_does_not_fit(start: Callable[..., ExperimentProcess]) -> None:
    """One repeat is always done; the settings then name as many as were."""
    options = ["--until-decided", "--most-time", "1s", "--topologies", "single,3active", "--faults", "crash"]
    run = start("failover", *FAST, *LOW_RATE, *options, light=True)
    assert "not judged yet after 1 repeat: no time for one more" in " ".join(run.finish().split())
    assert json.loads((run.out / "settings.json").read_text())["repeats"] == 1
    assert sorted(path.parent.name for path in run.out.glob("*/run.json")) == ["3active-1", "single-1"]


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open() as file:
        return list(csv.DictReader(file))


def check_flapping(folder: Path, window: dict[str, Any]) -> None:
    """Three kills of the same predictor, each once it served; the first closed its port, and all is over at the end."""
    steps = [
        (row["action"], float(row["time_s"])) for row in rows_of(folder / "faults.csv") if row["fault"] == "flapping"
    ]
    assert [action for action, _ in steps][:6] == ["injected", "killed", "repair", "killed", "killed", "repaired"]
    kills = [time_s for action, time_s in steps if action == "killed"]
    assert min(kills[1] - kills[0], kills[2] - kills[1]) > 0.1
    assert ("missed" in window, window["response_s"] is not None) == (False, True)


def check_saturation(folder: Path, window: dict[str, Any]) -> None:
    """150 requests/s until the repair, beside the load; what is too much is refused at once, and no other way."""
    sent = [float(row["due_at_s"]) for row in rows_of(folder / "requests.saturation-1.csv")]
    assert len(sent) / (max(sent) - min(sent)) == pytest.approx(150, rel=0.3)
    assert window["offered"] > len(sent)
    assert 0 < window["refused"] == window["lost"] < len(sent)
    assert set(window["lost_by_reason"]) == {"saturated"}
    assert window["refused_after_s"] < 0.4 <= window["longest_wait_s"]


def check_router_faults(folder: Path, restart: dict[str, Any], crash: dict[str, Any]) -> None:
    """The restart loses nothing, the crash what was in flight at one instant; no event is told twice for them."""
    assert [(each["fault"], each["targets"]) for each in (restart, crash)] == [
        ("router restart", ["router"]),
        ("router crash", ["router"]),
    ]
    assert (restart["lost"], restart["recovery_s"], "missed" in restart, "missed" in crash) == (0, None, False, False)
    assert crash["recovery_s"] is not None
    since_s = crash["injected_s"]
    sent = [
        (float(row["sent_at_s"]), float(row["latency_s"])) for row in rows_of(folder / "requests.csv") if row["reason"]
    ]
    lost = [(sent_s, sent_s + latency_s) for sent_s, latency_s in sent if sent_s + latency_s > since_s]
    assert len(lost) == crash["lost"]
    assert max((sent_s for sent_s, _ in lost), default=0) <= min((ended_s for _, ended_s in lost), default=0)
    events = json.loads((folder / "events.json").read_text())
    told = [(each["event"], each["predictor"], round(each["time"], 2)) for each in events]
    assert ("ejected" in {event for event, *_ in told}, len(told)) == (True, len(set(told)))


def freeze_load(run: ExperimentProcess) -> None:
    """Stops the generator for a second once the first window has begun."""
    folder = run.wait_for("2active-1/faults.csv", "injected").parent
    records = str(folder / "requests.csv")
    [load] = [each for each in psutil.process_iter(["cmdline"]) if records in (each.info["cmdline"] or [])]
    load.suspend()
    time.sleep(FROZEN_S)
    load.resume()


def check_load(folder: Path, rate_per_s: float) -> None:
    """The load was offered at its rate throughout, an outage or not; nothing was sent before it was due."""
    rows = [(float(row["due_at_s"]), float(row["sent_at_s"])) for row in rows_of(folder / "requests.csv")]
    due = sorted(due_s for due_s, _ in rows)
    assert len(due) / (due[-1] - due[0]) == pytest.approx(rate_per_s, rel=0.3)
    assert all(sent_s >= due_s for due_s, sent_s in rows)


# The predictors' own faults


@pytest.fixture(scope="module", params=[True, False], ids=["with control", "without"])
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One predictor, with the control of its faults or without."""
    programs = Programs(light_project(tmp_path_factory.mktemp("light")))
    settings = DeploymentSettings(SERVICE_TIME_S, 10, fault_control=request.param)
    with Deployment(
        find_topology("single", programs.topologies), programs, settings, tmp_path_factory.mktemp("rig")
    ) as deployment:
        deployment.start_predictors(["predict1"], StopRequest())
        yield deployment


def url_of(deployment: Deployment) -> str:
    """Where the predictor answers: no router is needed to ask it."""
    host, port = deployment.address("predict1")
    return f"http://{host}:{port}"


def test_fault_control_is_off_unless_asked_for_and_can_be_cleared(
    deployment: Deployment, request: pytest.FixtureRequest
) -> None:
    """Slow, failing or silent while it is on, as before afterwards; without the flag there is no such thing."""
    if request.node.callspec.params["deployment"] is False:
        with pytest.raises(CommandError, match="404"):
            deployment.set_fault("predict1", {"fails": True})
        assert fetch(url_of(deployment)).status == 200
        return
    deployment.set_fault("predict1", {"fails": True})
    assert fetch(url_of(deployment)).status == 500
    deployment.set_fault("predict1", {"service_time_factor": 20})
    slow = fetch(url_of(deployment))
    assert (slow.status, slow.took_s >= 20 * SERVICE_TIME_S) == (200, True)
    deployment.set_fault("predict1", {})
    fastest = min(fetch(url_of(deployment)).took_s for _ in range(5))
    assert fastest < 20 * SERVICE_TIME_S
    check_stall(deployment)
    check_broken_off(deployment)
    for wrong in (
        {"fails": 1},
        {"truncates": 0},
        {"resets": "yes"},
        {"service_time_factor": -1},
        {"service_time_factor": "10"},
        {"slow": True},
    ):
        with pytest.raises(CommandError, match="400"):
            deployment.set_fault("predict1", wrong)


def check_broken_off(deployment: Deployment) -> None:
    """Half of a real answer and the connection's end, or a reset; health checks pass, and the rest is as before."""
    whole = fetch(url_of(deployment)).body
    for name, fault in (("truncated", {"truncates": True}), ("reset", {"resets": True})):
        deployment.set_fault("predict1", fault)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)) as broken_off:
            fetch(url_of(deployment))
        if isinstance(broken_off.value, http.client.IncompleteRead):
            assert (name, broken_off.value.partial) == ("truncated", whole[: len(whole) // 2])
        else:
            assert name == "reset"
        assert deployment.has_struck("predict1", name)
        assert fetch(url_of(deployment), "/health").status == 200
    deployment.set_fault("predict1", {})
    assert fetch(url_of(deployment)).body == whole


def check_stall(deployment: Deployment) -> None:
    """Nothing is answered while it is on, but health checks are; then what has waited fails. It is counted."""
    deployment.set_fault("predict1", {"stalls": True})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(fetch, url_of(deployment))
        assert StopRequest().wait_until(lambda: deployment.has_struck("predict1", "stall"), 5.0)
        assert fetch(url_of(deployment), "/health").status == 200
        assert not waiting.done()
        deployment.set_fault("predict1", {})
        assert waiting.result().status == 500
    assert not deployment.has_struck("predict1", "stall"), "of what is set now, nothing"
    assert fetch(url_of(deployment)).status == 200
