"""`python -m experiments choose` beside what it speaks of: its deployment, measured; a server of a user's own."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from tests.harness.experiment import ExperimentProcess
from tests.harness.server_files import write_server_file

pytestmark = pytest.mark.usefixtures("few_years")  # no size hangs on how many

Choose = Callable[..., dict[str, Any]]

TARGET = ["--target", "95", "--per-minute", "0"]
"""Downtime that costs nothing: the fewest predictors that hold the target."""
DEMAND = ["--rate", "24", "--service-time", "400ms", "--threshold", "4"]
ONE_CRASH = ["--faults", "crash", "--loads", "calm", "--no-capacity", "--repeats", "1", "--seed", "1"]
SHORT = ["--repair-after", "6", "--window", "4", "--hold-down", "0.5"]
FIRST_FAILURE = ["--spawn-rate", "60", "--run-time", "3"]

AT_ONCE, SERVICE_TIME_S = 2, 0.1
RATE_PER_S = "60"


@pytest.fixture
def choose(capsys: pytest.CaptureFixture[str]) -> Choose:
    """Runs the command; returns its JSON object, to which `told` adds what it printed beside."""

    def run(*arguments: object) -> dict[str, Any]:
        capsys.readouterr()
        status = main(["choose", *map(str, arguments), "--json"])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return {**json.loads(printed.out), "told": printed.err}

    return run


def size_of(answer: dict[str, Any], deployment: str) -> dict[str, Any]:
    """The deployment's row of the table of sizes."""
    return next(each for each in answer["sizes"] if each["deployment"] == deployment)


def test_choose_written_deployment_holds_the_target_as_measured_with_one_predictor_down(
    start: Callable[..., ExperimentProcess], choose: Choose, tmp_path: Path
) -> None:
    """From the answer to a topology file, to a crash in it by the printed command, and back to the answer.

    With one of its predictors down the share refused has a 95 % interval. The share that the answer had said of this
    state lies in it, and what the next smaller deployment refuses then, more than the target allows, lies above it.
    The run's own answer, with its service time and losses, is the same deployment; `compare` runs it too.
    """
    topology = tmp_path / "my own" / "mine.json"
    topology.parent.mkdir()
    said = choose(*DEMAND, *TARGET, "--write", topology)
    words = shlex.split(said["told"].partition("To measure it: ")[2])
    assert words[:4] == ["python", "-m", "experiments", "failover"]
    start(*words[3:], *ONE_CRASH, *SHORT, light=True).finish()
    found = choose(tmp_path / "a", *TARGET)
    [check] = found["checks"]
    own, fewer = size_of(said, said["recommended"]), size_of(said, "4active")
    assert (check["deployment"], check["faults"]) == (said["recommended"], 1)
    assert own["refused_share_one_down"] < 0.05 < fewer["refused_share_one_down"]
    assert check["low"] <= own["refused_share_one_down"] <= check["high"] < fewer["refused_share_one_down"]
    assert found["recommended"] == said["recommended"]
    start("compare", "--topologies", topology, *FIRST_FAILURE, out="b", light=True).finish()
    [compared] = json.loads((tmp_path / "b" / "summary.json").read_text())["topologies"]
    assert (compared["slots"], compared["causes"]) == (own["slots"], {"saturated": 1})


def test_choose_server_that_queues_is_sized_by_its_measured_saturation(choose: Choose, tmp_path: Path) -> None:
    """It answers what its workers give, whatever its capacity, so that it needs more predictors than Erlang B says."""
    file = write_server_file(tmp_path, "plain", "--service-time", SERVICE_TIME_S, "--at-once", AT_ONCE, capacity=10)
    answer = choose("--server", file, "--rate", RATE_PER_S, "--write", tmp_path / "mine.json")
    inputs = answer["inputs"]
    assert inputs["saturation"]["value"] == pytest.approx(AT_ONCE / SERVICE_TIME_S, rel=0.2)
    assert inputs["saturation"]["source"].startswith("measured of plain")
    assert "Erlang B does not apply" in " ".join(answer["assumptions"])
    by_erlang_b = choose("--rate", RATE_PER_S, "--service-time", inputs["service_time"]["value"])
    predictors = size_of(answer, answer["recommended"])["predictors"]
    assert predictors > size_of(by_erlang_b, by_erlang_b["recommended"])["predictors"]
    assert len(json.loads((tmp_path / "mine.json").read_text())) == predictors
    assert f"--rate {RATE_PER_S} --server {file}" in answer["told"]


def test_choose_server_that_does_not_queue_is_sized_by_erlang_b(choose: Choose, tmp_path: Path) -> None:
    """No saturation; its service time is measured, and a capacity that nobody gave is a default."""
    answer = choose("--server", write_server_file(tmp_path, "plain", "--service-time", SERVICE_TIME_S))
    assert "saturation" not in answer["inputs"]
    assert answer["inputs"]["service_time"]["value"] == pytest.approx(SERVICE_TIME_S, rel=0.2)
    assert answer["inputs"]["threshold"]["source"].startswith("default")
    assert "(Erlang B)" in " ".join(answer["assumptions"])


def test_choose_server_that_takes_fewer_than_its_capacity_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it refuses at once is no queue, and what it gives is not known: one line with the remedy."""
    file = write_server_file(tmp_path, "plain", "--service-time", SERVICE_TIME_S, "--limit", 4)
    assert main(["choose", "--json", "--server", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    told = printed.err.splitlines()[-1]
    assert told.startswith(f"experiments choose: argument --server: {file}: with 10 at once ")
    assert "it takes fewer than its capacity" in told
    assert told.endswith("`python -m experiments server FILE` suggests a capacity")
