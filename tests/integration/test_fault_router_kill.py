"""The router is killed while clients wait on it, and started again, many times over the same topology file."""

import pytest

from tests.harness.deployment import Deployment
from tests.harness.file_watch import FileWatch
from tests.harness.measurements import MEASURING, record
from tests.harness.project import side_files
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

KILLS = 50 if MEASURING else 8
IN_FLIGHT = 6


def start(stage: Stage, deployed: Deployment, drained: bool) -> None:
    """Starts the router: of its killed predecessor it knows the drain and what it counted, and no load."""
    router = deployed.router = stage.router(deployed.path, "--hold-down", "0")
    assert router.loads() == deployed.loads() == [0, 0, 0]
    assert router.predictors("status") == deployed.statuses() == [not drained, True, drained]
    assert deployed.fetch(None).status == 200


def kill_in_the_middle(deployed: Deployment) -> None:
    """Kills the router while the file differs from its initial state and requests are in flight."""
    assert deployed.router.order("predict1", "drain").status == 200
    sent = deployed.hold(IN_FLIGHT)
    wait_until(lambda: (deployed.statuses(), sum(deployed.loads())) == ([False, True, True], IN_FLIGHT))
    deployed.router.kill()
    deployed.release_held()  # its answers go to a router that is no more
    for exchange in sent:
        exchange.close()


@pytest.mark.timeout(300)  # it starts many routers, each of which a busy machine may slow down
def test_router_killed_under_load_again_and_again_leaves_a_valid_file(stage: Stage) -> None:
    """The file is valid JSON at every moment; each start serves, and knows drains and events; a stop forgets them."""
    deployed = stage.deploy("2active")
    deployed.router.kill()
    with FileWatch(deployed.path, reads_per_s=500) as watch:
        for number in range(KILLS):
            start(stage, deployed, drained=number > 0)
            kill_in_the_middle(deployed)
        start(stage, deployed, drained=True)
        assert deployed.router.events("predict1") == ["drained"]
        assert deployed.router.events("predict3") == ["promoted"]
        assert deployed.router.stop() == 0
    record("router killed", kills=KILLS, reads_of_the_file=watch.reads, not_valid=len(watch.bad))
    assert watch.bad == []
    assert (deployed.path.read_bytes(), side_files(deployed.path)) == (deployed.initial, [])
