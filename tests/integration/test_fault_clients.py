"""Clients that vanish, drip, idle or never read: the others are served as ever, and no slot is held for nobody."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import psutil
import pytest

from tests.harness.deployment import Deployment
from tests.harness.http_client import CHUNKED, GET, POST, answers_in, connect, post, reset
from tests.harness.load import SERVICE_TIME_S
from tests.harness.measurements import record
from tests.harness.processes import MIB, PeakMemory
from tests.harness.project import SAMPLE
from tests.harness.raw_clients import RawClient, RawClients
from tests.harness.stage import Stage
from tests.harness.stubs import answers
from tests.harness.waiting import wait_until

NUMBER = 100
IDLE = 300
DRIPPING = 25  # of each kind
ENDS_WITHIN_S = 15.0
BODY_WITHIN_S = 10.0
SLACK_S = 0.6  # what a busy machine may add to a time that is measured once
BODY = post()
UNFINISHED = {
    "nothing": b"",
    "half_a_request_line": b"POST /pre",
    "half_the_headers": POST,
    "half_the_body": BODY[: -len(SAMPLE) // 2],
    "half_a_chunk": CHUNKED + b"40\r\n{",
}
LARGE_MIB = 8


def vanish_by_close(client: RawClient) -> None:
    """Ends the connection."""
    client.connection.close()


def vanish_by_reset(client: RawClient) -> None:
    """Resets the connection."""
    reset(client.connection)


VANISH = pytest.mark.parametrize("vanish", [vanish_by_close, vanish_by_reset])


@VANISH
def test_client_vanished_while_its_request_runs_frees_its_slot_with_the_answer(
    stage: Stage, vanish: Callable[[RawClient], None]
) -> None:
    """A hundred clients go away mid-request: slots stay taken while the predictors work, not longer."""
    three_active = stage.deploy("3active", "--threshold", "40", service_time_s=SERVICE_TIME_S)
    three_active.hold_all()
    crowd = RawClients(three_active.url, [RawClient(GET if number % 2 else BODY) for number in range(NUMBER)])
    wait_until(lambda: sum(three_active.held) == NUMBER)
    for client in crowd.clients:
        vanish(client)
    assert sum(three_active.router.loads()) == NUMBER
    three_active.release_held()
    answered_at_s = time.monotonic()
    wait_until(lambda: three_active.router.loads() == [0, 0, 0])
    free_after_s = time.monotonic() - answered_at_s
    how = vanish.__name__.removeprefix("vanish_by_")
    record(f"clients that vanish by {how}", clients=NUMBER, slots_free_after_s=round(free_after_s, 3), loads_after=0)
    assert free_after_s < 0.2 + 1.0  # the service time, then the limit
    assert sum(three_active.received) == NUMBER
    assert_untouched(three_active)


@VANISH
@pytest.mark.parametrize("sent", UNFINISHED)
def test_client_vanished_before_its_request_is_whole_never_takes_a_slot(
    stage: Stage, vanish: Callable[[RawClient], None], sent: str
) -> None:
    """A request that never arrives whole reaches no predictor."""
    three_active = stage.deploy("3active")
    crowd = RawClients(three_active.url, [RawClient(UNFINISHED[sent]) for _ in range(NUMBER // 5)])
    assert three_active.fetch(None).status == 200  # by now the router has read what came before
    for client in crowd.clients:
        vanish(client)
    assert three_active.router.loads() == [0, 0, 0]
    assert sum(three_active.received) == 1
    assert_untouched(three_active)


def assert_untouched(three_active: Deployment) -> None:
    """Checks that the router serves, has ejected nobody and printed nothing of it."""
    assert three_active.fetch().is_whole
    three_active.assert_nobody_ejected()
    assert three_active.router.predictors("failed") == [0, 0, 0]
    assert three_active.router.errors() == ""


def test_clients_idle_or_dripping_cost_others_nothing_and_are_ended(stage: Stage) -> None:
    """300 idle connections and 50 that drip end within 15 s, bodies with 408 after 10 s; others are served on."""
    deployed = stage.deploy("3active", service_time_s=SERVICE_TIME_S)
    headers = [RawClient(POST, b"X-Slow: " + b"x" * 60) for _ in range(DRIPPING)]
    counted = [RawClient(BODY[: -len(SAMPLE)], SAMPLE) for _ in range(DRIPPING - 6)]
    bodies = [*counted, *(RawClient(CHUNKED + b"3e8\r\n{", SAMPLE) for _ in range(6))]
    with RawClients(deployed.url, [*(RawClient(b"") for _ in range(IDLE)), *headers, *bodies]) as clients:
        wait_until(lambda: deployed.fetch(None).status == 200)
        assert deployed.router.loads() == [0, 0, 0]
        with deployed.load() as load:
            wait_until(lambda: all(client.ended_at_s for client in headers + bodies))
        drip_ended = clients.ended
        wait_until(lambda: clients.ended == len(clients.clients))
    kinds = {"headers_ended_s": headers, "body_ended_s": bodies, "idle_ended_s": clients.clients[:IDLE]}
    ended_s = {name: round(max(client.lasted_s for client in kind), 2) for name, kind in kinds.items()}
    added_s = round(load.slowest_s() - SERVICE_TIME_S, 3)
    counts = {"lost": len(load.lost()), "of": len(load.answers), "worst_added_wait_s": added_s}
    record("300 idle and 50 dripping", **counts, **ended_s)
    assert load.lost() == []
    assert sum(deployed.received) == len(load.answers) + 1
    assert {client.status for client in headers} <= {0, 408}
    heard = [answer for client in bodies for answer in answers_in(client.received)]
    assert [(answer.status, "10 s" in answer.json()["error"]) for answer in heard] == [(408, True)] * DRIPPING
    assert min(client.lasted_s for client in bodies) >= BODY_WITHIN_S - 0.5
    assert drip_ended >= 2 * DRIPPING
    assert max(ended_s["headers_ended_s"], ended_s["body_ended_s"]) <= ENDS_WITHIN_S
    assert deployed.router.loads() == [0, 0, 0]
    assert deployed.router.errors() == ""


def open_connections(pid: int, clients: list[socket.socket]) -> int:
    """How many of these clients' connections the process still has open."""
    ours = {client.getsockname() for client in clients}
    return sum(tuple(found.raddr) in ours for found in psutil.Process(pid).net_connections("tcp") if found.raddr)


def test_clients_that_never_read_hold_no_slot_and_are_ended(stage: Stage) -> None:
    """A client that never reads its large answer has no slot once it is made, and is closed in the time of all."""
    deployed = stage.deploy("3active")
    deployed.set(answers(body=b'"' + b"x" * LARGE_MIB * MIB + b'"'))
    router = deployed.router
    with PeakMemory(router.pid) as memory, ExitStack() as ends:
        clients = [ends.enter_context(connect(router.url)) for _ in range(12)]
        for client in clients:
            client.sendall(GET)
        sent_at_s = time.monotonic()
        wait_until(lambda: sum(deployed.received) == 12 and router.loads() == [0, 0, 0])
        deployed.set(answers(delay_s=SERVICE_TIME_S))
        with deployed.load() as load:
            wait_until(lambda: open_connections(router.pid, clients) == 0, 40.0)
        ended_s = time.monotonic() - sent_at_s
    memory_mib = {"peak_memory_growth_mib": memory.peak_growth_mib, "memory_growth_after_mib": memory.growth_mib}
    counts = {"lost": len(load.lost()), "of": len(load.answers), "ended_s": round(ended_s, 1)}
    record("12 clients that never read", **counts, **memory_mib)
    assert load.lost() == []
    assert ended_s < ENDS_WITHIN_S + SLACK_S
