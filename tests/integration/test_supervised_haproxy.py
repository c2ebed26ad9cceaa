"""`router.py --supervise --engine haproxy`: HAProxy outlives its router, and nothing outlives the supervisor."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import psutil
import pytest

from tests.harness.delay_proxy import DelayProxy
from tests.harness.deployment import Deployment
from tests.harness.http_client import try_fetch
from tests.harness.load import KeptLoad, Load
from tests.harness.measurements import MEASURING, record
from tests.harness.project import ROOT, side_files
from tests.harness.stage import Stage
from tests.harness.supervised import Supervised
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
UPGRADES, KILLS = (3, 10) if MEASURING else (2, 4)  # each starts a router
TRIES = 4
SERVICE_TIME_S = 0.05
WELL_S = 1.1
"""A router that has served for this long has taken over well."""

SERVED_AGAIN_WITHIN_S = 0.3 if MEASURING else 1.0
"""On a busy machine three programs take longer to start."""

ENDED_WITHIN_S = 1.0
FIRST_PROCESS = (
    f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); from experiments.testbed.process_trees import adopt_orphans; "
    "adopt_orphans(); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Starts a program that becomes the parent of each orphan below it, as a container's first process does."""

WITH_HAPROXY = ("--supervise", "--engine", "haproxy", "--hold-down", "0.3")


class Rig(NamedTuple):
    """A supervised router of its own copy of the project, before three active stubs."""

    deployed: Deployment
    supervised: Supervised
    folder: str
    """Where its HAProxys have their folders."""

    def haproxys(self) -> list[int]:
        """Every HAProxy that runs for it."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess):
                command = process.cmdline()
                if process.name() == "haproxy" and command and command[-1].startswith(f"{self.folder}/"):
                    found.append(process.pid)
        return found

    def served(self) -> int:
        """What the router has counted in all."""
        return sum(self.deployed.router.predictors("served"))

    def upgrade_under_load(self, upgrades: int) -> None:
        """Upgrades so many times; no request is lost, no connection is cut, and all are counted."""
        deployed, before = self.deployed, self.served()
        with DelayProxy(deployed.url) as proxy:
            kept, far = KeptLoad(deployed.url, clients=5), KeptLoad(proxy.url, clients=5)
            with kept, far, deployed.load(rate_per_s=10) as new:
                for _ in range(upgrades):
                    self.supervised.upgrade()
        loads: tuple[Load, ...] = (kept, far, new)
        asked = sum(len(load.answers) for load in loads)
        record("router upgraded, haproxy", upgrades=upgrades, of=asked, lost=0, cut=0)
        assert [load.lost() for load in loads] == [[], [], []]
        assert (kept.cut, far.cut) == (0, 0)
        wait_until(lambda: self.served() == before + asked)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder for temporary files whose path leaves room for a Unix socket's."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield folder


@pytest.fixture
def rig(stage: Stage, folder: str) -> Rig:
    """The rig, with a spare."""
    prefix = [sys.executable, "-c", FIRST_PROCESS]
    deployed = stage.deploy_tree(*WITH_HAPROXY, topology=2, service_time_s=SERVICE_TIME_S, prefix=prefix)
    supervised = Supervised(deployed.router)
    supervised.wait_for_spare()
    return Rig(deployed, supervised, folder)


def test_upgrade_keeps_haproxy_unless_its_configuration_is_another(rig: Rig) -> None:
    """Nothing is lost either way, also where the network is slow; drains stay."""
    rig.deployed.router.order("predict1", "drain")
    first = rig.haproxys()
    assert len(first) == 1
    rig.upgrade_under_load(UPGRADES)
    assert rig.haproxys() == first
    template = rig.deployed.tree.root / "routing" / "haproxy" / "haproxy.cfg.j2"
    template.write_text(template.read_text().replace("timeout queue 10ms", "timeout queue 11ms"))
    rig.upgrade_under_load(1)
    wait_until(lambda: len(rig.haproxys()) == 1)
    assert rig.haproxys() != first
    assert rig.deployed.router.events("predict1") == ["drained"]
    assert rig.deployed.router.predictors("state") == ["drained", "serving", "serving"]


def test_killed_router_costs_no_request_and_killed_haproxy_only_what_it_had(rig: Rig) -> None:
    """The next router goes on with HAProxy and its counters; a HAProxy that died is started again."""
    deployed, supervised = rig.deployed, rig.supervised
    deployed.router.order("predict1", "drain")
    first, before = rig.haproxys(), rig.served()
    with KeptLoad(deployed.url, clients=4) as kept, deployed.load(rate_per_s=20) as new:
        for _ in range(KILLS):
            began_s, serving = time.monotonic(), supervised.serving
            wait_until(lambda: new.good() and new.good()[-1].sent_at_s > began_s + WELL_S)  # noqa: B023
            os.kill(serving, signal.SIGKILL)
            supervised.wait_for_spare()
            assert supervised.serving != serving
    asked = len(kept.answers) + len(new.answers)
    record("router killed, haproxy", kills=KILLS, of=asked, lost=0)
    assert (kept.lost(), kept.cut, new.lost()) == ([], 0, [])
    assert rig.haproxys() == first
    wait_until(lambda: rig.served() == before + asked)
    assert deployed.router.predictors("state") == ["drained", "serving", "serving"]
    assert deployed.router.events("predict1") == ["drained"]
    kill_orphaned_guard(rig)
    again_s = [kill_haproxy(rig)]
    while again_s[-1] >= SERVED_AGAIN_WITHIN_S and len(again_s) < TRIES:
        again_s.append(kill_haproxy(rig))
    record("haproxy killed", kills=len(again_s), served_again_after_s=min(again_s))
    assert min(again_s) < SERVED_AGAIN_WITHIN_S


def kill_orphaned_guard(rig: Rig) -> None:
    """Kills what ties HAProxy to the supervisor, once its own router has ended: another HAProxy is started."""
    [haproxy] = rig.haproxys()
    guard = psutil.Process(haproxy).ppid()
    assert psutil.Process(guard).ppid() == rig.deployed.router.pid
    os.kill(guard, signal.SIGKILL)
    wait_until(lambda: rig.haproxys() not in ([haproxy], []))
    wait_until(lambda: not psutil.pid_exists(guard))


def kill_haproxy(rig: Rig) -> float:
    """Kills HAProxy under load; returns after how long a new client was answered, in s."""
    with rig.deployed.load(rate_per_s=10) as load:  # what waits meanwhile must not fill the slots
        wait_until(lambda: len(load.good()) > 2)
        [haproxy] = rig.haproxys()
        before_s = time.monotonic()
        os.kill(haproxy, signal.SIGKILL)
        killed_at_s = time.monotonic()
        assert try_fetch(rig.deployed.url).status == 200
        took_s = time.monotonic() - killed_at_s - SERVICE_TIME_S
    not_in_flight = [a for a in load.lost() if a.sent_at_s > killed_at_s or a.sent_at_s + a.took_s < before_s]
    assert not_in_flight == []
    return took_s


def test_killed_supervisor_ends_haproxy_too(rig: Rig) -> None:
    """All ends within a second, also with a request in flight: the port is free, and the file as it was at first."""
    rig.deployed.hold(3)
    with rig.supervised.ending():
        os.kill(rig.deployed.router.pid, signal.SIGKILL)
        killed_s = time.monotonic()
        wait_until(lambda: not rig.haproxys())
    took_s = time.monotonic() - killed_s
    record("supervisor killed, haproxy", all_ended_after_s=took_s)
    assert took_s < ENDED_WITHIN_S or not MEASURING
    assert try_fetch(rig.deployed.url).body == b"ConnectionRefusedError"
    path = rig.deployed.path
    assert (path.read_bytes(), side_files(path)) == (rig.deployed.initial, [])
