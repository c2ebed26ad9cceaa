"""A deployment's start: what a signal, or an error, in the midst of it leaves."""

import signal
from pathlib import Path

import pytest

from experiments.testbed.deployment import Deployment
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.signals import InterruptedBySignalError, StopRequest
from experiments.testbed.topologies import Topology
from server_file import Server
from tests.harness.project import ROOT


def test_signal_keeps_further_hooks_from_being_started(tmp_path: Path) -> None:
    """Each may take a minute."""
    hooks = {"start": ("sh", "-c", "echo {name} >>started")}
    server = Server(file=Path("my.json"), hooks=hooks, cwd=tmp_path)
    topology = Topology("two", {name: {"status": True, "port": port} for port, name in enumerate("ab", start=9000)})
    stop = StopRequest()
    deployment = Deployment(topology, Programs(ROOT, server), DeploymentSettings(1.0, 10, server=server), tmp_path)
    stop.request(signal.SIGINT)
    with deployment, pytest.raises(InterruptedBySignalError):
        deployment.start_predictors(["a", "b"], stop)
    assert not (tmp_path / "started").exists()
