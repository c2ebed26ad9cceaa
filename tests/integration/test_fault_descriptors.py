"""A router that runs out of file descriptors: it refuses for a while, blames no predictor, and recovers by itself."""

import resource
import socket
import sys
import time

import pytest

from tests.harness.deployment import Deployment
from tests.harness.http_client import GET, connect, try_fetch
from tests.harness.load import SERVICE_TIME_S
from tests.harness.measurements import record
from tests.harness.project import SAMPLE
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

DESCRIPTORS = 64
UNDER_LIMIT = ["/bin/sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh"]
CLIENTS = 100
LASTS_S = 3.0


@pytest.fixture
def limited(stage: Stage) -> Deployment:
    """A router that may have 64 descriptors, before three actives."""
    return stage.deploy("3active", service_time_s=SERVICE_TIME_S, prefix=UNDER_LIMIT)


def assert_full_service(deployed: Deployment) -> None:
    """Checks that thirty requests at once, all the slots, are served, and that nobody was ever ejected."""
    wait_until(lambda: all(answer.is_whole for answer in deployed.fetch_at_once(10, body=None)))
    heard = deployed.fetch_at_once(30, clients=10)
    assert all(answer.is_whole for answer in heard)
    assert {answer.predictor for answer in heard} == {"predict1", "predict2", "predict3"}
    deployed.assert_nobody_ejected()
    assert "Traceback" not in deployed.router.errors()


def test_descriptors_short_under_a_flood_of_requests_blame_nobody_and_recover(limited: Deployment) -> None:
    """A hundred clients at once at a router with 64 descriptors: answers and refusals, then full service."""
    heard = [answer.status for answer in limited.fetch_at_once(2 * CLIENTS, CLIENTS)]
    counts = {"good": heard.count(200), "refused": heard.count(503), "closed": heard.count(0), "of": len(heard)}
    record("64 descriptors, 100 clients", **counts)
    assert set(heard) <= {0, 200, 503}
    assert heard.count(200) > 0
    assert_full_service(limited)


def test_descriptors_taken_by_idle_clients_leave_the_predictors_in_rotation(limited: Deployment) -> None:
    """A hundred idle connections at a router with 64 descriptors: health checks go on, and service after they leave."""
    limited.fetch_at_once(30)  # as many kept connections to predictors as there can be
    idle = [connect(limited.url) for _ in range(CLIENTS)]
    end_s = time.monotonic() + LASTS_S
    while time.monotonic() < end_s:
        idle.append(waiting_request(limited.url))
        time.sleep(0.1)
    for client in idle:
        client.close()
    gone_at_s = time.monotonic()
    wait_until(lambda: try_fetch(limited.url, SAMPLE).status == 200)
    record("64 descriptors, 100 idle", full_service_after_s=round(time.monotonic() - gone_at_s, 3), ejected=0)
    assert_full_service(limited)


def waiting_request(url: str) -> socket.socket:
    """Sends a request whose answer nobody waits for."""
    client = connect(url)
    client.sendall(GET)
    return client


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can lower a running process's limits")
def test_descriptors_all_gone_while_running_blame_nobody_and_recover(stage: Stage) -> None:
    """With not one descriptor left, clients wait or are closed; given some again, the router serves as before."""
    deployed = stage.deploy("3active", service_time_s=SERVICE_TIME_S)
    router = deployed.router
    before = resource.prlimit(router.pid, resource.RLIMIT_NOFILE)
    with deployed.load() as load:
        wait_until(lambda: len(load.answers) > 12)
        resource.prlimit(router.pid, resource.RLIMIT_NOFILE, (8, before[1]))
        time.sleep(LASTS_S)
        resource.prlimit(router.pid, resource.RLIMIT_NOFILE, before)
        back_at_s = time.monotonic()
        wait_until(lambda: len([answer for answer in load.good() if answer.sent_at_s > back_at_s + 1]) > 6)
    late = [answer for answer in load.lost() if answer.sent_at_s > back_at_s + 1]
    lost, of = len(load.lost()), len(load.answers)
    record("no descriptor left for 3 s", lost=lost, of=of, lost_later_than_1_s_after=len(late))
    assert late == []
    assert {answer.status for answer in load.answers} <= {0, 200, 503}
    assert_full_service(deployed)
