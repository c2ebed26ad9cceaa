"""Users' routers by the ready-made configurations, in front of predictors: each serves, spreads, and outlives faults.

A router that is not installed is skipped by name.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import requests

from cli import CommandError, UsageError
from experiments.testbed.ports import free_ports
from experiments.testbed.routers.foreign_router import ForeignRouter
from experiments.testbed.routers.rendering import Backend, Listen, Settings, render, require_installed, retries_of
from experiments.testbed.routers.router_file import read
from experiments.testbed.servers.probes import port_refuses
from experiments.testbed.signals import StopRequest
from tests.harness.project import ROOT
from tests.harness.stage import Stage
from tests.harness.stubs import StubPredictor, answers, sends
from tests.harness.waiting import wait_until

FILES = sorted((ROOT / "routers").glob("*.json"))
BODY = b'{"features": [0.5, 1.25, 2.0]}'
CAPACITY = 2
READY_WITHIN_S = 5.0
"""They are within half a second, on a busy machine later; one that will never be is not awaited for long."""

EXACT = {"nginx", "haproxy-plain", "caddy"}
"""Those that choose the least loaded of all."""

RESTARTS = {"nginx", "haproxy-plain", "envoy", "caddy"}
"""Those that restart without a gap."""

STANDS_IN_WHEN_FULL = {"nginx", "haproxy-plain", "caddy"}
"""Those whose standby serves what finds the actives full."""


STANDS_IN_FOR_ONE = {"haproxy-plain", "envoy"}
"""Those whose standby serves while any active is down."""

KEEPS_SMALL_BODIES = {"haproxy-plain"}
"""Those that send again only what fits into a buffer."""


class Rig(NamedTuple):
    """A router and its predictors, of which some are standbys."""

    router: ForeignRouter
    port: int
    config: Path
    stubs: list[StubPredictor]

    def ask(self, path: str = "/predict", body: bytes = BODY) -> requests.Response:
        """POSTs one request on a connection of its own."""
        headers = {"Content-Type": "application/json", "Connection": "close"}
        return requests.post(f"http://127.0.0.1:{self.port}{path}", body, headers=headers, timeout=20)

    def answered_by(self) -> str:
        """Asks, and returns who answered well."""
        response = self.ask()
        assert response.status_code == 200, response.text
        return str(response.json()["predictor"])

    def ask_at_once(self, number: int, pool: ThreadPoolExecutor) -> list[Future[requests.Response]]:
        """Asks so many, which the predictors hold until they are released."""
        for stub in self.stubs:
            stub.holding = True
        return [pool.submit(self.ask) for _ in range(number)]

    def held(self) -> list[int]:
        """How many requests each predictor holds."""
        return [stub.held for stub in self.stubs]

    def release(self) -> None:
        """Has the predictors answer."""
        for stub in self.stubs:
            stub.release_held()


Make = Callable[..., Rig]


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def make(request: pytest.FixtureRequest, stage: Stage, tmp_path: Path) -> Iterator[Make]:
    """Starts each router in turn, before so many actives and standbys."""
    router = replace(read(request.param), ready_within_s=READY_WITHIN_S)
    try:
        require_installed(router)
    except UsageError as error:
        pytest.skip(str(error))
    made: list[ForeignRouter] = []

    def make_one(actives: int, standbys: int, health: str | None = "/health", retries: int | None = None) -> Rig:
        stubs = stage.stubs(actives + standbys)
        predictors = [Backend(stub.name, "127.0.0.1", stub.port, CAPACITY, n < actives) for n, stub in enumerate(stubs)]
        listen = Listen("127.0.0.1", free_ports(1)[0])
        settings = Settings(retries=retries_of(len(stubs)) if retries is None else retries, health=health)
        rendered = render(router, predictors, listen, tmp_path / "run", settings)
        made.append(ForeignRouter(router, rendered, tmp_path / "router.log"))
        made[-1].wait_until_ready(StopRequest())
        return Rig(made[-1], listen.port, rendered.config, stubs)

    yield make_one
    for one in made:
        one.stop()
        assert one.processes() == []


def test_requests_reach_all_predictors_unchanged_and_least_loaded_first(make: Make) -> None:
    """Path, query, body and type, and of answers who gave them; of as many as there are slots each gets its share."""
    rig = make(3, 0)
    assert rig.ask("/score?x=1").status_code == 200
    [received] = [one for stub in rig.stubs for one in stub.received if one.path.startswith("/score")]
    assert (received.method, received.path, received.body) == ("POST", "/score?x=1", BODY)
    assert received.headers["content-type"] == "application/json"
    for stub in rig.stubs:
        stub.script = sends(f"HTTP/1.1 200 OK\r\nX-Predictor: {stub.name}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert rig.ask().headers["X-Predictor"] in {stub.name for stub in rig.stubs}
    with ThreadPoolExecutor(10) as pool:
        futures = rig.ask_at_once(3 * CAPACITY, pool)
        try:
            wait_until(lambda: sum(rig.held()) == 3 * CAPACITY)
            if rig.router.name in EXACT:
                assert rig.held() == [CAPACITY] * 3
        finally:
            rig.release()
        assert Counter(future.result().status_code for future in futures) == {200: 3 * CAPACITY}


def test_crash_of_a_predictor_under_load_loses_nothing(make: Make) -> None:
    """What it had in flight is sent again, POST too; what comes after goes to the others; it comes back by itself."""
    rig = make(3, 0)
    with ThreadPoolExecutor(10) as pool:
        futures = rig.ask_at_once(3, pool)
        try:
            wait_until(lambda: sum(rig.held()) == 3)
            struck = next(stub for stub in rig.stubs if stub.held)
            for stub in rig.stubs:
                stub.holding = False
            struck.go_down()
        finally:
            rig.release()
        assert [future.result().text for future in futures if future.result().status_code != 200] == []
    assert struck.name not in {rig.answered_by() for _ in range(12)}
    struck.go_up()
    wait_until(lambda: rig.answered_by() == struck.name)


def test_answers_of_500_are_sent_again(make: Make) -> None:
    """POST too; no client hears of one predictor's failures."""
    rig = make(3, 0)
    rig.stubs[0].script = answers(500)
    assert rig.stubs[0].name not in {rig.answered_by() for _ in range(20)}
    assert [one.body for one in rig.stubs[0].received if one.method == "POST"][:1] == [BODY]


def test_request_that_finds_the_only_predictor_full_is_refused_at_once(make: Make) -> None:
    """There is nobody to ask, and no queue."""
    rig = make(1, 0)
    with ThreadPoolExecutor(10) as pool:
        futures = rig.ask_at_once(CAPACITY, pool)
        try:
            wait_until(lambda: rig.held() == [CAPACITY])
            assert rig.ask().status_code in (429, 502, 503)  # while they are held, so it did not wait for them
        finally:
            rig.release()
        assert [future.result().status_code for future in futures] == [200] * CAPACITY


def test_request_that_may_have_run_is_sent_once_where_none_is_to_be_sent_again(make: Make) -> None:
    """To a standby neither."""
    rig = make(2, 1, retries=0)
    before = sum(one.method == "POST" for stub in rig.stubs for one in stub.received)
    for stub in rig.stubs:
        stub.script = answers(500)
    assert rig.ask().status_code == 500
    assert sum(one.method == "POST" for stub in rig.stubs for one in stub.received) == before + 1


def test_large_body_is_sent_again_whole_where_it_is_kept(make: Make) -> None:
    """Of 100 kB; none is refused for its size."""
    rig = make(3, 0)
    rig.stubs[0].script = answers(500)
    body = BODY.ljust(100_000)
    responses = [rig.ask(body=body) for _ in range(6)]
    assert {one.body for stub in rig.stubs for one in stub.received if one.method == "POST"} <= {BODY, body}
    if rig.router.name not in KEEPS_SMALL_BODIES:
        assert [response.status_code for response in responses] == [200] * 6


def test_standby_serves_where_every_active_fails_each_request(make: Make) -> None:
    """Their health checks pass; a few requests may be lost until they are out."""
    rig = make(2, 1)
    for stub in rig.stubs[:2]:
        stub.script = answers(500)
    wait_until(lambda: {rig.ask().status_code for _ in range(6)} == {200})
    assert {rig.answered_by() for _ in range(6)} == {rig.stubs[2].name}


def test_standby_takes_its_share_while_an_active_is_down_where_it_can(make: Make) -> None:
    """The other active serves on."""
    rig = make(2, 1)
    if rig.router.name not in STANDS_IN_FOR_ONE:
        pytest.skip(f"{rig.router.name} has its standby for the failure of all")
    rig.stubs[0].go_down()
    left = {stub.name for stub in rig.stubs[1:]}
    wait_until(lambda: {rig.answered_by() for _ in range(8)} == left)


def test_standby_serves_when_no_active_does(make: Make) -> None:
    """Not before; the body is whole, though others have had it."""
    rig = make(2, 1)
    standby = rig.stubs[2]
    assert standby.name not in {rig.answered_by() for _ in range(6)}
    for stub in rig.stubs[:2]:
        stub.go_down()
    wait_until(lambda: rig.ask().status_code == 200)
    assert rig.answered_by() == standby.name
    assert {one.body for one in standby.received} == {BODY}


def test_standby_serves_what_finds_the_actives_full_where_it_can(make: Make) -> None:
    """Beyond all slots a request is refused; those in flight are served."""
    rig = make(2, 1)
    if rig.router.name not in STANDS_IN_WHEN_FULL:
        pytest.skip(f"{rig.router.name} has its standby for failures alone")
    slots = 3 * CAPACITY
    with ThreadPoolExecutor(10) as pool:
        futures = rig.ask_at_once(slots, pool)
        try:
            wait_until(lambda: rig.held() == [CAPACITY] * 3)
            assert rig.ask().status_code in (502, 503)
        finally:
            rig.release()
        assert [future.result().status_code for future in futures] == [200] * slots


def test_restart_answers_what_is_in_flight_and_a_crash_leaves_no_process(make: Make) -> None:
    """By its own command or by a stop and a start; after a crash its port refuses, and it starts there again."""
    rig = make(3, 0)
    with ThreadPoolExecutor(10) as pool:
        futures = rig.ask_at_once(3, pool)
        try:
            wait_until(lambda: sum(rig.held()) == 3)
            for stub in rig.stubs:
                stub.holding = False
            if rig.router.name in RESTARTS:
                rig.router.restart(StopRequest())
        finally:
            rig.release()
        assert [future.result().status_code for future in futures] == [200] * 3
    if rig.router.name not in RESTARTS:
        rig.router.restart(StopRequest())
    rig.router.require_alive()
    assert rig.answered_by()
    rig.router.crash()
    assert rig.router.processes() == []
    assert port_refuses("127.0.0.1", rig.port, 1.0)
    rig.router.start_again(StopRequest())
    assert rig.answered_by()


def test_router_serves_without_a_path_for_health_checks(make: Make) -> None:
    """By a connection, or by failures alone; a standby too."""
    rig = make(1, 1, None)
    assert rig.answered_by() == "predict1"
    rig.stubs[0].go_down()
    assert wait_until(lambda: rig.ask().status_code == 200)


def test_configuration_that_the_router_refuses_is_told_in_one_line(make: Make) -> None:
    """Its own last words, and no process."""
    rig = make(1, 0)
    rig.router.stop()
    rig.config.write_text("nonsense: {", encoding="utf-8")
    with pytest.raises(
        CommandError, match=rf"^{rig.router.name} (ended with exit status|is not ready after)"
    ) as caught:
        rig.router.start_again(StopRequest())
    assert len(str(caught.value).splitlines()) == 1
    assert rig.router.processes() == []


@pytest.mark.parametrize(
    ("name", "word"), [("nginx", "daemon off;"), ("haproxy-plain", "-W")], ids=["nginx", "haproxy-plain"]
)
def test_daemon_is_told_as_one_and_ended(tmp_path: Path, name: str, word: str) -> None:
    """The commonest mistake with a configuration that one has; nginx writes its title over its environment."""
    router = read(ROOT / "routers" / f"{name}.json")
    try:
        require_installed(router)
    except UsageError as error:
        pytest.skip(str(error))
    assert word in router.command
    changed = ("daemon on;" if each == "daemon off;" else "-D" if each == word else each for each in router.command)
    predictors, listen = [Backend("predict1", "127.0.0.1", 9, 1, active=True)], Listen("127.0.0.1", free_ports(1)[0])
    rendered = render(replace(router, command=tuple(changed)), predictors, listen, tmp_path / "run")
    before = {each.pid for each in psutil.Process().children()}  # of other tests, as a program that is kept warm
    one = ForeignRouter(router, rendered, tmp_path / "router.log")
    with pytest.raises(CommandError, match=rf"^{name} went into the background: keep it in the foreground \(nginx: "):
        one.wait_until_ready(StopRequest())
    assert one.processes() == []
    left = [each for each in psutil.Process().children() if each.pid not in before]
    assert [each.pid for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
    assert port_refuses("127.0.0.1", listen.port, 1.0)
