"""A router that runs out of file descriptors: it refuses for a while, blames no predictor, and recovers by itself."""

import resource
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from typing import NamedTuple

import pytest

from tests.harness.measurements import record
from tests.harness.processes import SAMPLE, Load, Router, Stage, ask, wait_until
from tests.harness.raw_http import RouterUnder, connect, is_whole
from tests.harness.stubs import StubPredictor, ports_of

DESCRIPTORS = 64
UNDER_LIMIT = ["/bin/sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh"]
CLIENTS = 100
LASTS_S = 3.0
SERVICE_TIME_S = 0.2


class Limited(NamedTuple):
    """A router that may have 64 descriptors, before three actives."""

    router: Router
    stubs: list[StubPredictor]


@pytest.fixture
def limited(stage: Stage) -> Iterator[Limited]:
    """The router, until the test's end."""
    stubs = stage.stubs(3, SERVICE_TIME_S)
    router = RouterUnder(stage, UNDER_LIMIT, stage.topology("3active", ports_of(stubs)))
    yield Limited(router, stubs)
    router.kill()


def status_of_one(url: str) -> int:
    """Ask once; 0 where the connection was refused, closed, or not answered in time."""
    with suppress(OSError, HTTPException):
        return ask(url, body=SAMPLE).status
    return 0


def assert_full_service(router: Router) -> None:
    """Check that thirty requests at once, all the slots, are served, and that nobody was ever ejected."""
    with ThreadPoolExecutor(10) as pool:
        wait_until(lambda: all(is_whole(answer) for answer in pool.map(lambda _: ask(router.url), range(10))))
        heard = list(pool.map(lambda _: ask(router.url, body=SAMPLE), range(30)))
    assert all(is_whole(answer) for answer in heard)
    assert {answer.predictor for answer in heard} == {"predict1", "predict2", "predict3"}
    assert router.predictors("state") == ["serving"] * 3
    assert router.picture()["events"] == []
    assert router.loads() == [0, 0, 0]
    assert "Traceback" not in router.errors()


def test_descriptors_short_under_a_flood_of_requests_blame_nobody_and_recover(limited: Limited) -> None:
    """A hundred clients at once at a router with 64 descriptors: answers and refusals, then full service."""
    router, _ = limited
    with ThreadPoolExecutor(CLIENTS) as pool:
        heard = list(pool.map(lambda _: status_of_one(router.url), range(2 * CLIENTS)))
    record(
        "64 descriptors, 100 clients",
        good=heard.count(200),
        refused=heard.count(503),
        closed=heard.count(0),
        of=len(heard),
    )
    assert set(heard) <= {0, 200, 503}
    assert heard.count(200) > 0
    assert_full_service(router)


def test_descriptors_taken_by_idle_clients_leave_the_predictors_in_rotation(limited: Limited) -> None:
    """A hundred idle connections at a router with 64 descriptors: health checks go on, and service after they leave."""
    router, stubs = limited
    with ThreadPoolExecutor(30) as pool:  # as many kept connections to predictors as there can be
        list(pool.map(lambda _: status_of_one(router.url), range(30)))
    idle = [connect(router.url) for _ in range(CLIENTS)]
    end_s = time.monotonic() + LASTS_S
    while time.monotonic() < end_s:
        idle.append(waiting_request(router.url))
        time.sleep(0.1)
    for client in idle:
        client.close()
    gone_at_s = time.monotonic()
    wait_until(lambda: status_of_one(router.url) == 200)
    record("64 descriptors, 100 idle", full_service_after_s=round(time.monotonic() - gone_at_s, 3), ejected=0)
    assert_full_service(router)
    assert stubs[0].healthy


def waiting_request(url: str) -> socket.socket:
    """Send a request whose answer nobody waits for."""
    client = connect(url)
    client.sendall(b"GET /predict HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can lower a running process's limits")
def test_descriptors_all_gone_while_running_blame_nobody_and_recover(stage: Stage) -> None:
    """With not one descriptor left, clients wait or are closed; given some again, the router serves as before."""
    stubs = stage.stubs(3, SERVICE_TIME_S)
    router = stage.router(stage.topology("3active", ports_of(stubs)))
    before = resource.prlimit(router.pid, resource.RLIMIT_NOFILE)
    with Load(router.url) as load:
        wait_until(lambda: len(load.answers) > 12)
        resource.prlimit(router.pid, resource.RLIMIT_NOFILE, (8, before[1]))
        time.sleep(LASTS_S)
        resource.prlimit(router.pid, resource.RLIMIT_NOFILE, before)
        back_at_s = time.monotonic()
        wait_until(lambda: len([a for a in load.answers if a.sent_at_s > back_at_s + 1 and a.status == 200]) > 6)
    late = [answer for answer in load.lost() if answer.sent_at_s > back_at_s + 1]
    record(
        "no descriptor left for 3 s", lost=len(load.lost()), of=len(load.answers), lost_later_than_1_s_after=len(late)
    )
    assert late == []
    assert {answer.status for answer in load.answers} <= {0, 200, 503}
    assert_full_service(router)
