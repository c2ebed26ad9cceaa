"""Every experiment, stopped in the middle: it says so, and no process, no frozen process and no changed file stays."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.experiment import ExperimentProcess
from tests.harness.project import ROOT, topology_files

COMPARE = ["compare", "--run-time", "60", "--topologies"]
BLOCKING = ["blocking", "--service-time", "0.1", "--arrivals", "300", "--seed", "3", "--at-once", "2"]
FAILOVER = ["failover", "--rate", "10", "--faults", "crash", "--topologies", "single,other.json"]


@pytest.mark.parametrize(
    ("words", "signum", "file"),
    [
        ([*COMPARE, "single"], signal.SIGINT, "single-1/requests.csv"),
        ([*COMPARE, "2active"], signal.SIGTERM, "2active-1/logs/predict3.log"),
        (BLOCKING, signal.SIGINT, "*/requests.csv"),
        (BLOCKING, signal.SIGINT, "*/logs/predict1.log"),
        (FAILOVER, signal.SIGTERM, "single-1/capacity-all-up/requests.csv"),
        ([*FAILOVER, "--no-capacity"], signal.SIGTERM, "single-1/logs/load.log"),
    ],
    ids=["compare-swarm", "compare-start", "blocking-load", "blocking-start", "failover-capacity", "failover-start"],
)
def test_experiment_stopped_in_the_middle_leaves_no_process(
    start: Callable[..., ExperimentProcess], tmp_path: Path, words: list[str], signum: signal.Signals, file: str
) -> None:
    """A stop at any moment ends every process that was started, in all lanes, and says where the records are."""
    other = shutil.copy(ROOT / "topology" / "single.json", tmp_path / "other.json")
    run = start(*(word.replace("other.json", str(other)) for word in words), light=True)
    run.wait_for(file)
    run.interrupt(signum)


def test_failover_stopped_while_a_predictor_is_frozen_leaves_nothing(start: Callable[..., ExperimentProcess]) -> None:
    """Ctrl-C in the worst moment: no process, no stopped process, the topology files in their initial state."""
    before = topology_files()
    options = ["--topologies", "2active", "--faults", "hang", "--repair-after", "60", "--no-capacity", "--rate", "10"]
    run = start("failover", *options, light=True)
    run.wait_for("2active-1/faults.csv", "injected")
    run.interrupt(signal.SIGINT)
    assert topology_files() == before
    copy = json.loads((run.out / "2active-1" / "topology" / "2active.json").read_text())
    assert [(entry["status"], entry["load"]) for entry in copy.values()] == [(True, 0), (True, 0), (False, 0)]
