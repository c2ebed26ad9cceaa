"""`python -m experiments failover` with real processes: a fast whole run, and the predictors' own faults."""

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
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
from tests.harness.experiment import ExperimentProcess, left_behind
from tests.harness.http_client import fetch
from tests.harness.project import ROOT, topology_files

FAST = ["--no-capacity", "--repair-after", "1", "--window", "4", "--hold-down", "0.5", "--seed", "1"]
LOW_RATE = ["--rate", "10"]  # the run is looked at, not the topology
SERVICE_TIME_S = 0.05
FROZEN_S = 1.0


def test_failover_crash_of_2active_is_measured_from_records(
    start: Callable[..., ExperimentProcess], tmp_path: Path
) -> None:
    """A crash is told by the records, twice alike; a window in which the generator lagged is invalid, and repeated."""
    before = topology_files()
    run = start("failover", "--topologies", "2active", "--faults", "none,crash", *FAST, *LOW_RATE)
    freeze_load(run)
    out = run.finish()
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
    with (folder / "requests.csv").open() as file:
        rows = [(float(row["due_at_s"]), float(row["sent_at_s"])) for row in csv.DictReader(file)]
    due = sorted(due_s for due_s, _ in rows)
    assert len(due) / (due[-1] - due[0]) == pytest.approx(rate_per_s, rel=0.3)
    assert all(sent_s >= due_s for due_s, sent_s in rows)


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


def test_fault_control_is_off_unless_asked_for_and_can_be_cleared(
    deployment: Deployment, request: pytest.FixtureRequest
) -> None:
    """Slow and failing while it is switched on, as before afterwards; without the flag there is no such thing."""
    if request.node.callspec.params["deployment"] is False:
        with pytest.raises(CommandError, match="404"):
            deployment.set_fault("predict1", {"fails": True})
        assert fetch(deployment.url).status == 200
        return
    deployment.set_fault("predict1", {"fails": True})
    assert fetch(deployment.url).status == 500
    deployment.set_fault("predict1", {"service_time_factor": 20})
    slow = fetch(deployment.url)
    assert (slow.status, slow.took_s >= 20 * SERVICE_TIME_S) == (200, True)
    deployment.set_fault("predict1", {})
    fastest = min(fetch(deployment.url).took_s for _ in range(5))
    assert fastest < 20 * SERVICE_TIME_S
    for wrong in ({"fails": 1}, {"service_time_factor": -1}, {"service_time_factor": "10"}, {"slow": True}):
        with pytest.raises(CommandError, match="400"):
            deployment.set_fault("predict1", wrong)
