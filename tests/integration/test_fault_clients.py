"""Clients that vanish, drip, idle or never read: the others are served as ever, and no slot is held for nobody."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import psutil
import pytest

from tests.harness.measurements import record
from tests.harness.processes import SAMPLE, Load, Stage, ask, wait_until
from tests.harness.raw_http import (
    GET,
    MIB,
    Bench,
    Client,
    Crowd,
    PeakMemory,
    bench,
    connect,
    is_whole,
    reset,
)
from tests.harness.stubs import answers

NUMBER = 100
IDLE = 300
DRIPPING = 25  # of each kind
ENDS_WITHIN_S = 15.0
SLACK_S = 0.6  # what a busy machine may add to a time that is measured once
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = HEAD + f"Content-Length: {len(SAMPLE)}\r\n\r\n".encode() + SAMPLE
UNFINISHED = {
    "nothing": b"",
    "half_a_request_line": b"POST /pre",
    "half_the_headers": HEAD,
    "half_the_body": BODY[: -len(SAMPLE) // 2],
    "half_a_chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n{",
}
LARGE_MIB = 8


def vanish_by_close(client: Client) -> None:
    """End the connection."""
    client.connection.close()


def vanish_by_reset(client: Client) -> None:
    """Reset the connection."""
    reset(client.connection)


VANISH = pytest.mark.parametrize("vanish", [vanish_by_close, vanish_by_reset])


@VANISH
def test_client_vanished_while_its_request_runs_frees_its_slot_with_the_answer(
    stage: Stage, vanish: Callable[[Client], None]
) -> None:
    """A hundred clients go away mid-request: slots stay taken while the predictors work, not longer."""
    three_active = bench(stage, "3active", "--threshold", "40")
    for stub in three_active.stubs:
        stub.holding = True
    crowd = Crowd(three_active.router.url, [Client(GET if number % 2 else BODY) for number in range(NUMBER)])
    wait_until(lambda: sum(stub.held for stub in three_active.stubs) == NUMBER)
    for client in crowd.clients:
        vanish(client)
    assert sum(three_active.router.loads()) == NUMBER
    for stub in three_active.stubs:
        stub.let_go()
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
    stage: Stage, vanish: Callable[[Client], None], sent: str
) -> None:
    """A request that never arrives whole reaches no predictor."""
    three_active = bench(stage, "3active", service_time_s=0.0)
    crowd = Crowd(three_active.router.url, [Client(UNFINISHED[sent]) for _ in range(NUMBER // 5)])
    assert ask(three_active.router.url).status == 200  # by now the router has read what came before
    for client in crowd.clients:
        vanish(client)
    assert three_active.router.loads() == [0, 0, 0]
    assert sum(three_active.received) == 1
    assert_untouched(three_active)


def assert_untouched(three_active: Bench) -> None:
    """Check that the router serves, has ejected nobody and printed nothing of it."""
    assert is_whole(ask(three_active.router.url, body=SAMPLE))
    assert three_active.router.loads() == [0, 0, 0]
    assert three_active.router.picture()["events"] == []
    assert three_active.router.predictors("failed") == [0, 0, 0]
    assert three_active.router.errors() == ""


def test_clients_idle_or_dripping_cost_others_nothing_and_are_ended(stage: Stage) -> None:
    """300 idle connections and 50 that drip a byte a second, in headers and in the body, end within 15 s.

    Others are served without a failure all the while, and no slot is taken for a request that is not complete.
    """
    router, _, stubs = bench(stage, "3active")
    headers = [Client(HEAD, b"X-Slow: " + b"x" * 60) for _ in range(DRIPPING)]
    bodies = [Client(BODY[: -len(SAMPLE)], SAMPLE) for _ in range(DRIPPING)]
    with Crowd(router.url, [*(Client(b"") for _ in range(IDLE)), *headers, *bodies]) as crowd:
        wait_until(lambda: ask(router.url).status == 200)
        assert router.loads() == [0, 0, 0]
        with Load(router.url) as load:
            wait_until(lambda: all(client.ended_at_s for client in headers + bodies))
        drip_ended = crowd.ended
        wait_until(lambda: crowd.ended == len(crowd.clients))
    worst_s = max(answer.took_s for answer in load.answers) - 0.2
    lasted_s = [max(client.lasted_s for client in kind) for kind in (headers, bodies, crowd.clients[:IDLE])]
    ends = dict(zip(("headers_ended_s", "body_ended_s", "idle_ended_s"), (round(s, 2) for s in lasted_s), strict=True))
    record(
        "300 idle and 50 dripping",
        lost=len(load.lost()),
        of=len(load.answers),
        worst_added_wait_s=round(worst_s, 3),
        **ends,
    )
    assert load.lost() == []
    assert sum(len(stub.received) for stub in stubs) == len(load.answers) + 1
    assert {client.status for client in headers} <= {0, 408}
    assert {client.status for client in bodies} == {408}
    assert drip_ended >= 2 * DRIPPING
    assert max(lasted_s[:2]) <= ENDS_WITHIN_S
    assert router.loads() == [0, 0, 0]
    assert router.errors() == ""


def open_connections(pid: int, clients: list[socket.socket]) -> int:
    """How many of these clients' connections the process still has open."""
    ours = {client.getsockname() for client in clients}
    return sum(tuple(found.raddr) in ours for found in psutil.Process(pid).net_connections("tcp") if found.raddr)


def test_clients_that_never_read_hold_no_slot_and_are_ended(stage: Stage) -> None:
    """A client that asks for a large answer and never reads it has no slot once the predictor has answered.

    It is closed within the time that every slow client has; what its answer took of memory is free again.
    """
    router, _, stubs = bench(stage, "3active")
    for stub in stubs:
        stub.script = answers(body=b'"' + b"x" * LARGE_MIB * MIB + b'"')
    with PeakMemory(router.pid) as memory, ExitStack() as ends:
        clients = [ends.enter_context(connect(router.url)) for _ in range(12)]
        for client in clients:
            client.sendall(GET)
        sent_at_s = time.monotonic()
        wait_until(lambda: sum(len(stub.received) for stub in stubs) == 12 and router.loads() == [0, 0, 0])
        for stub in stubs:
            stub.script = answers(delay_s=0.2)
        with Load(router.url) as load:
            wait_until(lambda: open_connections(router.pid, clients) == 0, 40.0)
        ended_s = time.monotonic() - sent_at_s
    record(
        "12 clients that never read",
        lost=len(load.lost()),
        of=len(load.answers),
        ended_s=round(ended_s, 1),
        peak_memory_growth_mib=memory.peak_growth_mib,
        memory_growth_after_mib=memory.growth_mib,
    )
    assert load.lost() == []
    assert ended_s < ENDS_WITHIN_S + SLACK_S
