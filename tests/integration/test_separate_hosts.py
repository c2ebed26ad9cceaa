"""Predictors on the hosts that their topology names: network namespaces in the experiments' test bed."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import FaultContext
from experiments.failover.records import DomainPlan
from experiments.testbed.deployment import Deployment
from experiments.testbed.hosts import SeparateHosts
from experiments.testbed.namespaces import why_impossible
from experiments.testbed.own_router import OwnRouter
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import find_topology
from tests.harness.http_client import try_fetch
from tests.harness.light import light_project
from tests.unit.experiments.failover.hand_written import SETTINGS_HERE


@pytest.mark.skipif(bool(why := why_impossible()), reason=f"no network namespaces: {why}")
def test_host_that_is_cut_off_is_silent_until_it_is_back(tmp_path: Path) -> None:
    """Neither refused nor answered, though its processes end; the other host's predictors serve; then all is whole."""
    stop, programs = StopRequest(), Programs(light_project(tmp_path))
    topology = find_topology("2hosts", programs.topologies)
    lost = [name for name, host in topology.hosts().items() if host == "127.0.0.2"]
    assert lost == ["predict1", "predict3"]
    settings = DeploymentSettings(0.05, 10, hold_down_s=0.5, fault_control=True)
    with (
        SeparateHosts(topology).at_the_router() as hosts,
        Deployment(topology, programs, settings, tmp_path, hosts=hosts) as deployment,
    ):
        router = deployment.router
        assert isinstance(router, OwnRouter)
        deployment.start(stop)
        addresses = {name: deployment.address(name)[0] for name in topology.predictors}
        assert addresses["predict1"] == addresses["predict3"] != addresses["predict2"] == addresses["predict4"]
        assert deployment.why_not_gone("predict1")
        hosts.cut(lost)
        deployment.kill(lost)
        assert [deployment.why_not_gone(name, 0.2) for name in lost] == ["", ""]
        assert deployment.why_not_gone("predict2")
        assert stop.wait_until(lambda: router.promoted_standbys() == ["predict4"], 10.0)
        answers = [try_fetch(deployment.url) for _ in range(4)]
        assert {(answer.status, answer.predictor) for answer in answers} == {(200, "predict2"), (200, "predict4")}
        hosts.mend(lost)
        deployment.start_predictors(lost, stop)
        assert stop.wait_until(deployment.router.is_as_planned, 20.0)
        check_black_hole(deployment, stop)
        deployment.set_fault("predict1", {"fails": True})


def check_black_hole(deployment: Deployment, stop: StopRequest) -> None:
    """Its processes live and are not heard; the other host serves; once the link is mended all is as planned."""
    fault, topology = FAULTS["black hole"], deployment.topology
    plan = DomainPlan("2hosts", topology.capacities(10), topology.roles(), {}, topology.hosts())
    context = FaultContext(SETTINGS_HERE, plan, deployment, Mock(), stop, lambda *_: 0.0, 10.0, 1)
    targets = fault.choose(plan, 0.0)
    assert targets == ["predict1", "predict3"]
    fault.inject(context, targets)
    assert fault.why_missed(context, targets) == ""
    deployment.require_alive()
    answers = [try_fetch(deployment.url) for _ in range(4)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.predictor for answer in answers} <= {"predict2", "predict4"}
    fault.clear(context, targets)
    assert stop.wait_until(deployment.router.is_as_planned, 20.0)
    assert fault.why_missed(context, targets).startswith("the host of predict1 takes or refuses connections")
