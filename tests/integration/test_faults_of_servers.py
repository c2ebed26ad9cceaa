"""Faults of users' own model servers: each strikes, or is told not to have; what it costs a pool and a lone server."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import FaultContext
from experiments.testbed.deployment import Deployment
from experiments.testbed.ports import free_ports
from experiments.testbed.process_trees import ProcessTree
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.servers.probes import predict
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import find_topology
from server_file import HOOKS, read
from tests.harness.experiment import OWNER, ExperimentProcess, left_behind, still_running
from tests.harness.project import ROOT
from tests.harness.server_files import SUPERVISOR, write_server_file
from tests.unit.experiments.failover.hand_written import SETTINGS_HERE, TWO

ELSEWHERE = "127.0.0.2"
FATAL = ("crash", "hang", "refuse", "flapping", "error", "stall", "truncated", "reset")
HARMLESS_IN_A_POOL = (*FATAL, "slow", "upgrade")
SHORT = ["--no-capacity", "--loads", "calm", "--window", "2", "--hold-down", "0.5", "--seed", "1"]
LOAD = ["--threshold", "10", "--rate", "10", "--at-once", "2"]
"""A tenth of what one predictor could take at once: requests that a busy machine holds up find slots, too."""
NOTICED = ["--repair-after", "2"]
"""Two health checks find a hang within 1.5 s; a shorter one delays requests, and loses none."""


def test_faults_cost_a_pool_nothing_and_a_lone_server_something(
    start: Callable[..., ExperimentProcess], tmp_path: Path
) -> None:
    """Every fault strikes, by signals to the tree or by the sidecar; `2active` loses no request to any."""
    server = write_server_file(tmp_path, "plain", "--service-time", "0.1")
    words = ["--server", str(server), "--topologies", "single,2active", "--faults", ",".join(HARMLESS_IN_A_POOL)]
    run = start("failover", *words, *SHORT, *LOAD, *NOTICED, light=True)
    run.finish()
    assert left_behind(tmp_path) == []
    summary = json.loads((run.out / "summary.json").read_text())
    lost = {each["topology"]: lost_by_fault(each["windows"]) for each in summary["topologies"]}
    assert lost["2active"] == dict.fromkeys(HARMLESS_IN_A_POOL, 0)
    assert [fault for fault in FATAL if not lost["single"][fault]] == []
    assert [window for each in summary["topologies"] for window in each["windows"] if "missed" in window] == []


def lost_by_fault(windows: list[dict[str, Any]]) -> dict[str, int]:
    """Requests lost in all windows of each fault."""
    lost: dict[str, int] = {}
    for window in windows:
        lost[window["fault"]] = lost.get(window["fault"], 0) + window["lost"]
    return {fault: lost[fault] for fault in HARMLESS_IN_A_POOL}


Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploy]:
    """Starts the predictors of a topology behind sidecars; all of it is ended with the test, and no process stays."""
    monkeypatch.setenv(OWNER, str(tmp_path))
    made: list[Deployment] = []

    def deploy_one(kind: str, topology: str = "single", **keys: Any) -> Deployment:
        server = read(write_server_file(tmp_path, kind, **keys))
        found = find_topology(topology, ROOT / "topology", elsewhere=True)
        settings = DeploymentSettings(0.0, 10, server=server, sidecars=True)
        made.append(Deployment(found, Programs(ROOT), settings, tmp_path))
        made[-1].start_predictors(found.predictors, StopRequest())
        return made[-1]

    yield deploy_one
    for deployment in made:
        deployment.__exit__(None, None, None)
    assert still_running(tmp_path) == []


def context_of(deployment: Deployment) -> FaultContext:
    """What faults act upon."""
    return FaultContext(SETTINGS_HERE, TWO, deployment, Mock(), StopRequest(), lambda *_: 0.0, 10.0, 1)


def test_group_kill_in_place_of_the_tree_is_told_with_its_reason(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that left its group serves on: the crash has missed, and is no fault that cost nothing."""
    deployment = deploy("escaping")
    context, crash = context_of(deployment), FAULTS["crash"]
    with monkeypatch.context() as patched:
        patched.setattr(ProcessTree, "kill", lambda _: None)
        crash.inject(context, ["predict1"])
        assert "of predict1 still takes connections after 1 s" in crash.why_missed(context, ["predict1"])
    crash.inject(context, ["predict1"])
    assert crash.why_missed(context, ["predict1"]) == ""
    crash.clear(context, ["predict1"])


@pytest.fixture
def elsewhere(supervisor: Path, deploy: Deploy, tmp_path: Path) -> Deployment:
    """A predictor of that process manager, on another host, behind a sidecar."""
    [port] = free_ports(1)
    path = tmp_path / "elsewhere.json"
    path.write_text(json.dumps({"far": {"status": True, "load": 0, "port": port, "host": ELSEWHERE}}))
    words = [sys.executable, SUPERVISOR, str(supervisor)]
    hooks = {each: [*words, each, "{name}", "{host}", "{port}"] for each in HOOKS}
    return deploy("plain", topology=str(path), command=None, hooks=hooks)


def test_faults_strike_a_predictor_that_is_no_child(elsewhere: Deployment) -> None:
    """By its hooks, or by the sidecar before its remote address; each is proven, and undone."""
    context = context_of(elsewhere)
    for name in ("crash", "hang", "refuse"):
        FAULTS[name].inject(context, ["far"])
        assert FAULTS[name].why_missed(context, ["far"]) == "", name
        FAULTS[name].clear(context, ["far"])
    for name, status in (("error", 500), ("slow", 200)):
        FAULTS[name].inject(context, ["far"])
        assert predict(elsewhere.server, *elsewhere.address("far"), 10.0).status == status
        assert FAULTS[name].why_missed(context, ["far"]) == ""
        FAULTS[name].clear(context, ["far"])
