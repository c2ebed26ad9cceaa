"""`router.py --supervise`: upgrades, crashes of every process, and what they cost clients. With real signals."""

import os
import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

import psutil
import pytest

from tests.harness.delay_proxy import DelayProxy
from tests.harness.deployment import Deployment
from tests.harness.file_watch import FileWatch
from tests.harness.http_client import Answer, KeptConnection, try_fetch
from tests.harness.load import KeptLoad, Load
from tests.harness.measurements import MEASURING, record
from tests.harness.processes import Router, assert_mistake, run_router
from tests.harness.project import side_files
from tests.harness.stage import Stage
from tests.harness.supervised import Supervised, memory_mib
from tests.harness.waiting import Background, wait_until

UPGRADES, KILLS = 3, 50 if MEASURING else 10
RATE_PER_S = 35.0 if MEASURING else 12.0
"""Who waits for the spare comes all at once then: on a busy machine, where that takes a second and more, still into
fewer slots than are there."""

SERVICE_TIME_S = 0.05
HELD = 30
MOST_MORE_MIB = 45.0
ANSWERED_WITHIN_S = 0.2
ENDED_WITHIN_S = 0.5
WELL_S = 1.1
"""A router that has served for this long has taken over well."""

WITHOUT_STREAMS = ("sh", "-c", 'exec "$@" <&- 2>&-', "sh")
"""Starts a program with stdin and stderr closed, as some that run services do."""


class Rig(NamedTuple):
    """A supervised router of its own copy of the project, before three active stubs."""

    deployed: Deployment
    supervised: Supervised


@pytest.fixture(scope="module")
def shared_rig(shared_stage: Stage) -> Rig:
    """The rig, with a spare."""
    deployed = shared_stage.deploy_tree("--supervise", topology=2, service_time_s=SERVICE_TIME_S)
    supervised = Supervised(deployed.router)
    supervised.wait_for_spare()
    return Rig(deployed, supervised)


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    """The rig for one test, which leaves it as it was."""
    yield shared_rig
    shared_rig.deployed.release_held()
    shared_rig.deployed.router.order("predict1", "ready")
    shared_rig.deployed.wait_until_initial()


class Orders(Background):
    """An operator who drains a predictor and puts it back, over and over, on a kept connection."""

    def __init__(self, router: Router, predictor: str) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self.state = "serving"
        """As ordered last."""
        self._kept, self._predictor = KeptConnection(router.admin_url), predictor

    def _work(self) -> None:
        for order, state in cycle({"drain": "drained", "ready": "serving"}.items()):
            if self._ended.wait(0.01):
                break
            self.answers.append(self._kept.fetch(f"/predictors/{self._predictor}/{order}", b""))
            self.state = state
        self._kept.close()


def test_upgrade_under_load_loses_no_request_and_cuts_no_connection(rig: Rig) -> None:
    """On kept and on new connections, also where the network is slow; and all that was counted goes on, exactly."""
    deployed, supervised = rig
    processes = {supervised.serving}
    before = sum(deployed.router.predictors("served"))
    with DelayProxy(deployed.url) as proxy:
        kept, far = KeptLoad(deployed.url, clients=3), KeptLoad(proxy.url, clients=3)
        with kept, far, deployed.load(rate_per_s=5) as new, Orders(deployed.router, "predict1") as orders:
            for _ in range(UPGRADES):
                processes.add(supervised.upgrade())
    loads: tuple[Load, ...] = (kept, far, new)
    asked_in_all = sum(len(load.answers) for load in loads)
    record("router upgraded", upgrades=UPGRADES, of=asked_in_all, lost=0, cut=0)
    assert len(processes) == UPGRADES + 1
    assert deployed.router.output().count(f"supervised by process {deployed.router.pid}: kill -HUP") == 1
    assert [load.lost() for load in loads] == [[], [], []]
    assert (kept.cut, far.cut, kept.told_to_close + far.told_to_close) == (0, 0, 0)
    assert {answer.status for answer in orders.answers} == {200}
    assert deployed.router.predictors("state") == [orders.state, "serving", "serving"]
    wait_until(lambda: sum(deployed.router.predictors("served")) == before + asked_in_all)


def test_requests_in_flight_over_an_upgrade_keep_their_slots_until_they_end(rig: Rig) -> None:
    """While the router that left holds all, the next one refuses at once, as one router would; and leaves not yet."""
    deployed, supervised = rig
    before = sum(deployed.router.predictors("served"))
    sent = deployed.hold(HELD)
    first = supervised.serving
    second = supervised.upgrade()
    assert f"process {first} serves no more; requests that it still answers: {HELD}\n" in deployed.router.output()
    os.kill(deployed.router.pid, signal.SIGHUP)
    wait_until(lambda: "is ready to take over once" in deployed.router.output())
    assert (supervised.serving, deployed.router.loads()) == (second, [10, 10, 10])
    refused = deployed.fetch()
    assert refused.refusal() == (503, "saturated")
    deployed.stubs[0].release(1)
    wait_until(lambda: sum(deployed.router.loads()) == HELD - 1)
    deployed.release_held()
    assert [exchange.answer().status for exchange in sent] == [200] * HELD
    wait_until(lambda: f"process {first} has left" in deployed.router.output())
    wait_until(lambda: supervised.serving != second)
    supervised.wait_for_spare()
    wait_until(lambda: deployed.router.loads() == [0, 0, 0])
    assert sum(deployed.router.predictors("served")) == before + HELD


def test_spare_that_is_killed_is_replaced_and_nobody_notices(rig: Rig) -> None:
    """The one that serves goes on; spare and supervisor together take little memory."""
    deployed, supervised = rig
    serving = supervised.serving
    with deployed.load(rate_per_s=20) as load:
        os.kill(supervised.spares()[-1], signal.SIGKILL)
        spare = supervised.wait_for_spare()
    assert load.lost() == []
    assert supervised.serving == serving
    more_mib = sum(memory_mib(psutil.Process(pid)) for pid in (deployed.router.pid, spare))
    record("supervisor and spare", more_mib=round(more_mib, 1))
    assert more_mib < MOST_MORE_MIB


def test_upgrade_to_broken_code_is_told_in_one_line_and_changes_nothing(rig: Rig) -> None:
    """The router that serves, and its spare, are of the code of before."""
    deployed, supervised = rig
    serving, spare, told = supervised.serving, supervised.spares()[-1], deployed.router.errors()
    engine = deployed.tree.root / "routing" / "flask_engine.py"
    text = engine.read_text()
    engine.write_text("this is no Python\n" + text)
    os.kill(deployed.router.pid, signal.SIGHUP)
    wait_until(lambda: deployed.router.errors() != told)
    line = deployed.router.errors().removeprefix(told)
    engine.write_text(text)
    assert line.count("\n") == 1
    assert "SyntaxError" in line
    assert f"process {serving} goes on" in line
    assert (supervised.serving, psutil.pid_exists(spare)) == (serving, True)
    assert supervised.upgrade() != serving


def test_upgrade_to_code_that_fails_as_it_opens_goes_back_to_the_code_of_before(rig: Rig) -> None:
    """The spare of before takes its place, and is not asked to leave again; who connects meanwhile waits for it."""
    deployed, supervised = rig
    serving, spare = supervised.serving, supervised.spares()[-1]
    engine = deployed.tree.root / "routing" / "flask_engine.py"
    text = engine.read_text()
    with deployed.load(rate_per_s=20) as load:
        engine.write_text(text.replace("def _start(self, ", "def _start(self, broken, "))
        os.kill(deployed.router.pid, signal.SIGHUP)
        wait_until(lambda: supervised.serving != serving)
        engine.write_text(text)
        supervised.wait_for_spare()
    assert load.lost() == []
    assert supervised.serving == spare


def test_killed_router_loses_only_what_was_in_flight(rig: Rig) -> None:
    """Whoever asks after it waits for the spare, and drains survive; the topology file is valid all the time."""
    deployed, supervised = rig
    deployed.router.order("predict1", "drain")
    events = deployed.router.events("predict1")
    killed_at_s, first = [], []
    with FileWatch(deployed.path, reads_per_s=200) as watch, deployed.load(RATE_PER_S, longest_s=300.0) as load:
        for _ in range(KILLS):
            began_s, serving = time.monotonic(), supervised.serving
            wait_until(lambda: load.good() and load.good()[-1].sent_at_s > began_s + WELL_S)  # noqa: B023
            os.kill(serving, signal.SIGKILL)
            killed_at_s.append(time.monotonic())
            first.append(try_fetch(deployed.url))
            supervised.wait_for_spare()
            assert supervised.serving != serving
    in_flight = [a for a in load.answers if any(a.sent_at_s <= at_s <= a.sent_at_s + a.took_s for at_s in killed_at_s)]
    waited_s = [answer.took_s - SERVICE_TIME_S for answer in first]
    record(
        "router killed, with a spare", kills=KILLS, lost=len(load.lost()), in_flight=len(in_flight),
        answers_after_s=statistics.median(waited_s),
    )  # fmt: skip
    assert [answer for answer in load.lost() if answer not in in_flight] == []
    assert watch.bad == []
    assert {answer.status for answer in first} == {200}
    assert (statistics.median if MEASURING else min)(waited_s) < ANSWERED_WITHIN_S  # else the machine may be busy
    assert deployed.router.predictors("state") == ["drained", "serving", "serving"]
    assert deployed.router.events("predict1") == events


def test_router_that_cannot_take_over_is_given_up_with_its_status(stage: Stage) -> None:
    """Five failures in a row, each after a longer pause, and the supervisor ends as the routers did."""
    deployed = stage.deploy("single", "--supervise", number=1)
    supervised = Supervised(deployed.router)
    supervised.wait_for_spare()
    serving = supervised.serving
    os.kill(serving, signal.SIGSTOP)  # it would put the file right
    deployed.path.write_text("{broken")
    os.kill(serving, signal.SIGKILL)
    assert deployed.router.wait() == 2
    assert "5 failures in a row: the router gives up" in deployed.router.errors()
    assert deployed.path.read_text() == "{broken"


def test_supervisor_that_is_killed_ends_all_at_once_and_leaves_nothing(stage: Stage) -> None:
    """Also with a request in flight: the port is free, and the file as it was at first."""
    deployed = stage.deploy("2active", "--supervise", "--host", "")  # as if left out, and as nobody looks it up again
    supervised = Supervised(deployed.router)
    supervised.wait_for_spare()
    deployed.router.order("predict1", "drain")
    deployed.hold(3)
    with supervised.ending():
        os.kill(deployed.router.pid, signal.SIGKILL)
        killed_at_s = time.monotonic()
    took_s = time.monotonic() - killed_at_s
    record("supervisor killed", all_ended_after_s=took_s)
    assert took_s < ENDED_WITHIN_S or not MEASURING  # else the machine may be busy
    assert try_fetch(deployed.url).body == b"ConnectionRefusedError"
    assert (deployed.path.read_bytes(), side_files(deployed.path)) == (deployed.initial, [])


@pytest.mark.parametrize(
    ("signum", "prefix"), [(signal.SIGTERM, WITHOUT_STREAMS), (signal.SIGINT, ())], ids=["sigterm", "ctrl-c"]
)
def test_supervisor_stops_as_a_router_does(stage: Stage, signum: signal.Signals, prefix: Sequence[str]) -> None:
    """What was accepted is answered, exit 0, no process and no file is left; also where streams are closed."""
    deployed = stage.deploy("2active", "--supervise", service_time_s=0.5, prefix=prefix)
    supervised = Supervised(deployed.router)
    supervised.wait_for_spare()
    sent = deployed.send(5)
    wait_until(lambda: sum(deployed.received) == 5)
    with supervised.ending():
        deployed.router.signal(signum)
        assert [exchange.answer().status for exchange in sent] == [200] * 5
        assert deployed.router.wait() == 0
    assert deployed.router.errors() == ""
    assert (deployed.path.read_bytes(), side_files(deployed.path)) == (deployed.initial, [])


def test_supervised_start_that_fails_is_told_as_without(stage: Stage) -> None:
    """A user's mistake is one line and exit status 2."""
    assert_mistake(run_router("--supervise", "--topology", "nowhere", "--port", "0", "--admin-port", "0"), "'nowhere'")
