"""The experiments with real model servers from PyPI: `make servers`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.project import ROOT

pytestmark = pytest.mark.timeout(1200)

SERVICE_TIME_S = 0.1
"""What each model is told to take: one worker then answers 10 requests a second."""

RATE_PER_S = "4"
CARRIES = {"bentoml": 1, "fastapi": 8, "litserve": 1, "mlflow": 4, "mlserver": 1}
"""At least so many at once take each server no longer than one does; of 1, exactly."""

SIDE_BY_SIDE = ["--at-once", "3"]
"""These models wait, and take no processor from each other."""

FAULTS = ["crash", "hang", "refuse", "error", "slow", "stall", "upgrade"]
LOSE_ON_SINGLE = ["crash", "hang", "refuse", "error", "stall"]


def experiments(*words: str) -> str:
    """What the experiments' command prints, which must end well and complain of nothing."""
    environment = {**os.environ, "SERVICE_TIME_S": str(SERVICE_TIME_S)}
    command = [sys.executable, "-m", "experiments", *words]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout[-2000:]
    return ended.stdout


def summary(folder: Path) -> dict[str, Any]:
    """The summary of a run folder."""
    content: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return content


def losses(run: dict[str, Any]) -> dict[tuple[str, str], tuple[int, int]]:
    """Topology and fault -> windows that count, requests lost in them."""
    topologies = [topology for load in run["loads"] for topology in load["topologies"]]
    return {
        (each["topology"], fault["fault"]): (fault["windows"], fault["lost_total"])
        for each in topologies
        for fault in each["faults"]
    }


def test_preflight_finds_what_the_documentation_says(server: str, tmp_path: Path) -> None:
    """The time that the model was told to take, who carries several at once, who refuses, and who leaves the group."""
    file = tmp_path / "figures.json"
    experiments("server", server, "--json", str(file))
    found = json.loads(file.read_text(encoding="utf-8"))
    assert SERVICE_TIME_S <= found["service_time_s"] < 1.5 * SERVICE_TIME_S
    assert found["capacity"] >= CARRIES[server]
    assert (found["capacity"] == 1) == (CARRIES[server] == 1)
    assert found["outside_group"] == (1 if server == "bentoml" else 0)
    statuses = {status for level in found["levels"] for status in level["statuses"]}
    assert statuses == ({"200", "429"} if server == "bentoml" else {"200"})


def test_compare_more_slots_fail_later(server: str, runs: Path) -> None:
    """Each topology has a first failure, and three actives carry more than one."""
    folder = runs / f"{server}-compare"
    load = ["--threshold", "3", "--spawn-rate", "2", *SIDE_BY_SIDE]
    experiments("compare", "--server", server, *load, "--out", str(folder))
    rates = {each["topology"]: each["rate_at_first_failure_per_s"] for each in summary(folder)["topologies"]}
    assert all(rate is not None for rate in rates.values()), rates
    assert rates["single"]["median"] < rates["3active"]["median"]


def test_failover_2active_loses_nothing_and_single_does(server: str, runs: Path) -> None:
    """Every fault strikes, in windows that count; with a standby no request is lost, without one some are."""
    folder = runs / f"{server}-failover"
    experiments(
        "failover", "--server", server, "--topologies", "single,2active", "--faults", ",".join(FAULTS),
        "--no-capacity", "--loads", "calm", "--rate", RATE_PER_S, "--seed", "1", *SIDE_BY_SIDE, "--out", str(folder),
    )  # fmt: skip
    measured = losses(summary(folder))
    assert {key for key, (windows, _) in measured.items() if windows == 0} == set()
    assert {fault: measured["2active", fault][1] for fault in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert [fault for fault in LOSE_ON_SINGLE if measured["single", fault][1] == 0] == []


@pytest.mark.parametrize("server", ["bentoml"], indirect=True)
def test_busy_answers_of_bentoml_promote_the_standby(server: str, tmp_path: Path) -> None:
    """Its 429 says that it is full: the standby serves then, and 2active carries what 3active does."""
    pair = ["--topologies", "2active,3active", "--repeats", "3", *SIDE_BY_SIDE]
    experiments("compare", "--server", server, *pair, "--out", str(tmp_path / "a"))
    two, three = summary(tmp_path / "a")["topologies"]
    assert all(run["promotions"] > 0 for run in two["runs"])
    assert two["rate_at_first_failure_per_s"]["high"] >= three["rate_at_first_failure_per_s"]["low"]
