"""Many starts of servers that take three ports each: `make servers`."""

from pathlib import Path

import pytest

from experiments.testbed.deployment import Deployment
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.servers.model_servers import listening_ports
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import find_topology
from server_file import read
from tests.harness.project import ROOT

STARTS = 50
PORTS_EACH = 3


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("server", ["mlserver"], indirect=True)
def test_fifty_starts_of_three_servers_take_each_its_own_ports(server: str, tmp_path: Path) -> None:
    """HTTP, gRPC and metrics of each: none finds one of its ports taken, or it would not become ready."""
    topology = find_topology("3active", ROOT / "topology")
    settings = DeploymentSettings(0.0, 10, server=read(ROOT / "servers" / f"{server}.json"))
    for number in range(STARTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Deployment(topology, Programs(ROOT), settings, folder) as deployment:
            deployment.start_predictors(topology.predictors, StopRequest())
            children = [deployment.predictor(name) for name in topology.predictors]
            ports = listening_ports([process for child in children for process in child.processes()])
        assert len(set(ports)) == PORTS_EACH * len(children)
