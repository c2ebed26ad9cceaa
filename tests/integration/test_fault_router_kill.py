"""The router is killed while clients wait on it, and started again: fifty times over the same topology file."""

import json
import signal
from pathlib import Path

import pytest

from tests.harness.measurements import record
from tests.harness.processes import Router, Stage, ask, loads, statuses, wait_until
from tests.harness.stubs import StubPredictor, ports_of
from tests.harness.waiting import Background

KILLS = 50
IN_FLIGHT = 6


class Reader(Background):
    """Reads the topology file as fast as it can, and keeps what was not valid."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.reads = 0
        self.bad: list[bytes] = []
        self._path = path

    def _work(self) -> None:
        while not self._ended.wait(0.002):
            text = self._path.read_bytes()
            self.reads += 1
            try:
                assert len(json.loads(text)) == 3
            except (ValueError, AssertionError):
                self.bad.append(text)


def start(stage: Stage, path: Path) -> Router:
    """Start the router and check that nothing of its killed predecessor is left."""
    router = stage.router(path, "--hold-down", "0")
    assert router.loads() == loads(path) == [0, 0, 0]
    assert router.predictors("status") == statuses(path) == [True, True, False]
    return router


def kill_in_the_middle(stage: Stage, router: Router, path: Path, stubs: list[StubPredictor]) -> None:
    """Kill the router while the file differs from its initial state and requests are in flight."""
    assert router.order("predict1", "drain").status == 200
    sent = stage.hold(router, IN_FLIGHT)
    wait_until(lambda: sum(stub.held for stub in stubs) == IN_FLIGHT)
    wait_until(lambda: (statuses(path), sum(loads(path))) == ([False, True, True], IN_FLIGHT))
    router.signal(signal.SIGKILL)
    router.wait()
    for stub in stubs:
        stub.release()  # its answers go to a router that is no more
    for exchange in sent:
        exchange.close()


@pytest.mark.timeout(300)  # it starts fifty routers, each of which a busy machine may slow down
def test_router_killed_under_load_fifty_times_leaves_a_valid_file(stage: Stage) -> None:
    """The file is valid JSON at every moment; each start finds loads 0 and initial statuses, and serves."""
    stubs = stage.stubs(3)
    path = stage.topology("2active", ports_of(stubs))
    with Reader(path) as reader:
        for _ in range(KILLS):
            router = start(stage, path)
            assert ask(router.url).status == 200
            for stub in stubs:
                stub.holding = True
            kill_in_the_middle(stage, router, path, stubs)
            for stub in stubs:
                stub.let_go()
        last = start(stage, path)
        assert ask(last.url).status == 200
        assert last.stop() == 0
    record("router killed", kills=KILLS, reads_of_the_file=reader.reads, not_valid=len(reader.bad))
    assert reader.bad == []
    assert statuses(path) == [True, True, False]
