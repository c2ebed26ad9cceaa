"""`python -m experiments failover` with real processes: a fast whole run, the predictors' own faults, and Ctrl-C."""

import csv
import http.client
import io
import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from cli import CommandError
from experiments.experiment import main as report
from experiments.experiment import run_experiment
from experiments.failover import fault_sequence
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.windows import MOST_LATENESS_S
from experiments.testbed.deployment import Deployment, DeploymentSettings, Programs
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import find_topology
from tests.integration.experiment_runs import DEADLINE_S, ROOT, Start, left_behind, topology_files, wait_for

FAST = ["--no-capacity", "--repair-after", "1", "--window", "4", "--hold-down", "0.5", "--seed", "1"]
LOW_RATE = ["--rate", "10"]  # the run is looked at, not the topology
SERVICE_TIME_S = 0.05
FROZEN_S = 1.0


def test_failover_crash_of_2active_is_measured_from_records(start: Start, tmp_path: Path) -> None:
    """A crash under load: the router reacts, the standby answers, all comes back; the records tell it, twice alike.

    The generator is made to lag in the control's window, which is therefore invalid, and the control repeated.
    """
    before = topology_files()
    run = start(
        "failover", "--topologies", "2active", "--faults", "none,crash", *FAST, *LOW_RATE, "--out", tmp_path / "a"
    )
    freeze_load(tmp_path / "a" / "2active-1")
    out, err = run.communicate(timeout=DEADLINE_S)
    assert (run.returncode, err) == (0, "")
    assert (left_behind(tmp_path), topology_files()) == ([], before)
    assert "The scorecard" in out
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    control, crash, *again = summary["topologies"][0]["windows"]
    assert (control["fault"], control["targets"], crash["fault"], again[0]["fault"]) == ("none", [], "crash", "none")
    assert control["lateness_p99_s"] > MOST_LATENESS_S
    assert crash["targets"][0] in ("predict1", "predict2")
    assert 0 <= crash["response_s"] <= crash["standby_answer_s"] <= crash["redundancy_s"]
    assert crash["recovery_s"] is not None
    assert crash["offered"] > 0
    check_load(tmp_path / "a" / "2active-1", rate_per_s=summary["settings"]["rate_per_s"])
    made = {name: (tmp_path / "a" / name).read_bytes() for name in ("summary.json", "report.html", "timeline.svg")}
    report([str(tmp_path / "a")], Console(file=io.StringIO(), width=80))
    assert {name: (tmp_path / "a" / name).read_bytes() for name in made} == made


def test_failover_standby_that_the_load_keeps_promoted_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a load above half of the actives' slots no standby steps back: the operator puts it back, and says so."""
    monkeypatch.setattr(fault_sequence, "BACK_WITHIN_S", 1.0)
    load = ["--threshold", "2", "--rate", "25", "--repeats", "1", "--faults", "surge", "--topologies", "2active"]
    run_experiment(EXPERIMENT, [*load, *FAST, "--out", str(tmp_path / "a")], Console(file=io.StringIO(), width=80))
    assert ",surge,put back,predict3" in (tmp_path / "a" / "2active-1" / "faults.csv").read_text()


def freeze_load(folder: Path) -> None:
    """Stop the generator for a second once the first window has begun."""
    actions = folder / "faults.csv"
    wait_for(lambda: actions.is_file() and "injected" in actions.read_text())
    records = str(folder / "requests.csv")
    [load] = [each for each in psutil.process_iter(["cmdline"]) if records in (each.info["cmdline"] or [])]
    load.suspend()
    time.sleep(FROZEN_S)
    load.resume()


def check_load(folder: Path, rate_per_s: float) -> None:
    """The load was offered at its rate throughout, an outage or not; nothing was sent before it was due."""
    with (folder / "requests.csv").open() as file:
        rows = [(float(row["due_at_s"]), float(row["sent_at_s"])) for row in csv.DictReader(file)]
    due = sorted(due_s for due_s, _ in rows)
    assert len(due) / (due[-1] - due[0]) == pytest.approx(rate_per_s, rel=0.3)
    assert all(sent_s >= due_s for due_s, sent_s in rows)


def test_failover_stopped_while_a_predictor_is_frozen_leaves_nothing(start: Start, tmp_path: Path) -> None:
    """Ctrl-C in the worst moment: no process, no stopped process, the topology files in their initial state."""
    before = topology_files()
    arguments = ["--topologies", "2active", "--faults", "hang", "--repair-after", "60", "--no-capacity", *LOW_RATE]
    run = start("failover", *arguments, "--out", tmp_path / "a")
    actions = tmp_path / "a" / "2active-1" / "faults.csv"
    wait_for(lambda: actions.is_file() and "injected" in actions.read_text())
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 128 + signal.SIGINT
    assert err == "experiments failover: stopped by SIGINT\n"
    assert "Records so far" in out
    assert (left_behind(tmp_path), topology_files()) == ([], before)
    copy = json.loads((tmp_path / "a" / "2active-1" / "topology" / "2active.json").read_text())
    assert [(entry["status"], entry["load"]) for entry in copy.values()] == [(True, 0), (True, 0), (False, 0)]


@pytest.mark.parametrize("file", ["capacity-all-up/requests.csv", "logs/load.log"], ids=["capacity", "start"])
def test_failover_stopped_in_its_other_parts_leaves_nothing(start: Start, tmp_path: Path, file: str) -> None:
    """SIGTERM while capacity is measured, or while the load starts, ends everything as well, in all lanes."""
    part = [] if file.startswith("capacity") else ["--no-capacity"]
    other = shutil.copy(ROOT / "topology" / "single.json", tmp_path / "other.json")
    runner = ["--topologies", f"single,{other}", "--faults", "crash", *LOW_RATE]
    run = start("failover", *runner, *part, "--out", tmp_path / "a")
    wait_for((tmp_path / "a" / "single-1" / file).is_file)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=DEADLINE_S)
    assert (run.returncode, err) == (128 + signal.SIGTERM, "experiments failover: stopped by SIGTERM\n")
    assert left_behind(tmp_path) == []


# The predictors' own faults


@pytest.fixture(scope="module", params=[True, False], ids=["with control", "without"])
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One predictor, with the control of its faults or without."""
    programs = Programs(ROOT)
    settings = DeploymentSettings(SERVICE_TIME_S, 10, fault_control=request.param)
    with Deployment(
        find_topology("single", programs.topologies), programs, settings, tmp_path_factory.mktemp("rig")
    ) as deployment:
        deployment.start(StopRequest())
        yield deployment


def predict(deployment: Deployment) -> tuple[int, float]:
    """Ask for a prediction through the router; status and seconds."""
    host, _, port = deployment.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=DEADLINE_S)
    before = time.monotonic()
    connection.request("GET", "/predict")
    status = connection.getresponse().status
    connection.close()
    return status, time.monotonic() - before


def test_fault_control_is_off_unless_asked_for_and_can_be_cleared(
    deployment: Deployment, request: pytest.FixtureRequest
) -> None:
    """Slow and failing while it is switched on, as before afterwards; without the flag there is no such thing."""
    if request.node.callspec.params["deployment"] is False:
        with pytest.raises(CommandError, match="404"):
            deployment.set_fault("predict1", {"fails": True})
        assert predict(deployment)[0] == 200
        return
    deployment.set_fault("predict1", {"fails": True})
    assert predict(deployment)[0] == 500
    deployment.set_fault("predict1", {"service_time_factor": 20})
    status, seconds = predict(deployment)
    assert (status, seconds >= 20 * SERVICE_TIME_S) == (200, True)
    deployment.set_fault("predict1", {})
    fastest = min(predict(deployment)[1] for _ in range(5))
    assert fastest < 20 * SERVICE_TIME_S
    for wrong in ({"fails": 1}, {"service_time_factor": -1}, {"service_time_factor": "10"}, {"slow": True}):
        with pytest.raises(CommandError, match="400"):
            deployment.set_fault("predict1", wrong)
