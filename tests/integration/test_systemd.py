"""The router as a service: the units of docs/systemd, as they stand there, and sockets that were there before it."""

import configparser
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness.http_client import Exchange, fetch
from tests.harness.processes import Process
from tests.harness.project import ROOT
from tests.harness.stage import Stage
from tests.harness.stubs import ports_of
from tests.harness.waiting import wait_until

UNITS = ROOT / "docs" / "systemd"
INSTALLED, STATE = "/opt/ha-router", "/var/lib/ha-router"
needs_systemd = pytest.mark.skipif(
    not (shutil.which("systemd-socket-activate") and shutil.which("systemd-analyze")),
    reason="no systemd-socket-activate on PATH: install Debian's package systemd",
)


def unit(name: str, section: str, key: str) -> str:
    """What a unit says."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser[section][key]


@needs_systemd
def test_units_are_accepted_by_systemd(tmp_path: Path) -> None:
    """No unknown key, no reference to what is not there; every socket goes to the service."""
    for path in UNITS.iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace(INSTALLED, str(ROOT)))
    verified = subprocess.run(
        ["systemd-analyze", "verify", *tmp_path.iterdir()], capture_output=True, text=True, check=False, timeout=30
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    sockets = sorted(path.name for path in UNITS.glob("*.socket"))
    assert sorted(unit("ha-router.service", "Unit", "Requires").split()) == sockets
    assert {unit(name, "Socket", "Service") for name in sockets} == {"ha-router.service"}


@needs_systemd
@pytest.mark.parametrize("supervised", [True, False])
def test_request_sent_before_the_router_runs_is_answered(stage: Stage, supervised: bool) -> None:
    """The service's own commands, the first connection as its start, the sockets by their units' names."""
    stubs = stage.stubs(2)
    topology = stage.topology("2active", [*ports_of(stubs), stage.reserve_port()])
    words = unit("ha-router.service", "Service", "ExecStart").split()
    command = [word.replace(INSTALLED, str(ROOT)).replace(f"{STATE}/2active.json", str(topology)) for word in words]
    if not supervised:
        command.remove("--supervise")
    ports = {name: stage.reserve_port() for name in ("admin", "public")}
    names = [unit(f"ha-router-{name}.socket", "Socket", "FileDescriptorName") for name in ports]
    listening = [f"--listen=127.0.0.1:{port}" for port in ports.values()]
    activated = ["systemd-socket-activate", *listening, f"--fdname={':'.join(names)}", *command]
    process = stage.program("router", activated)
    wait_until(lambda: process.errors().count("Listening on") == len(ports))
    assert "serving" not in process.output()
    exchange = Exchange(f"http://127.0.0.1:{ports['public']}", "/predict", None, None)
    assert exchange.answer().status == 200
    assert {url.rpartition(":")[2] for url in process.addresses(2)} == {str(port) for port in ports.values()}
    if supervised:
        reload_service(process, f"http://127.0.0.1:{ports['admin']}")
    os.kill(process.pid, signal.SIGTERM)  # KillMode=mixed
    assert process.wait() == 0


def reload_service(process: Process, admin_url: str) -> None:
    """Runs the service's reload, and waits until another router serves under the same main process."""
    before = fetch(admin_url, "/topology").json()
    assert before["supervisor"] == process.pid
    words = unit("ha-router.service", "Service", "ExecReload").replace("$MAINPID", str(process.pid)).split()
    subprocess.run(words, check=True, timeout=10)
    wait_until(lambda: fetch(admin_url, "/topology").json()["pid"] != before["pid"])
    assert fetch(admin_url, "/topology").json()["supervisor"] == process.pid
