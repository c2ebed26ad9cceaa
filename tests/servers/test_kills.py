"""What kills and stops do to real model servers, and that the experiments' own hit all of each: `make servers`."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.testbed.ports import free_ports
from experiments.testbed.processes import Child, wait_until_ready
from experiments.testbed.servers.model_servers import Readiness, command_of, listening_ports
from experiments.testbed.servers.probes import check_health, health_is_silent, port_refuses, predict
from experiments.testbed.signals import StopRequest
from server_file import Place, Server, read
from tests.harness.project import ROOT
from tests.harness.waiting import wait_until

HOST = "127.0.0.1"
DEADLINE_S = 10.0
SURVIVE_THE_GROUP = {"bentoml"}
"""Their workers leave the process group, and serve on when it is killed."""

SURVIVE_THE_LEADER = {"bentoml", "litserve"}
"""Their workers serve on when the process that was started is killed."""


class Running(NamedTuple):
    """A server that is ready."""

    server: Server
    place: Place
    child: Child

    @property
    def port(self) -> int:
        """Where it serves."""
        return self.place.ports[0]

    def serves(self) -> bool:
        """Whether health and a prediction are good."""
        asked = [ask(self.server, HOST, self.port, DEADLINE_S) for ask in (check_health, predict)]
        return all(outcome.is_good for outcome in asked)


@pytest.fixture
def start(server: str, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts the server, on given ports or free ones, and waits until it is ready; all ends with the test."""
    children: list[Child] = []
    file = read(ROOT / "servers" / f"{server}.json")

    def start_it(ports: tuple[int, ...] = ()) -> Running:
        place = Place("predict1", HOST, ports or tuple(free_ports(file.ports_needed)))
        argv, env, cwd = command_of(file, place)
        child = Child(server, argv, tmp_path / "server.log", cwd, env, file.stop_within_s)
        children.append(child)
        readiness = Readiness(file, place, child.processes)
        wait_until_ready({child: readiness}, StopRequest(), file.ready_within_s, lambda _: readiness.reason())
        return Running(file, place, child)

    yield start_it
    for child in children:
        child.kill()


def test_kill_ends_all_of_it_and_it_starts_again_on_its_ports(start: Callable[..., Running]) -> None:
    """The port refuses within a second, no process is left, and the same ports are free for the next."""
    running = start()
    assert len(running.child.processes()) >= 1
    running.child.kill()
    assert port_refuses(HOST, running.port, 1.0)
    assert running.child.processes() == []
    assert start(running.place.ports).serves()


def test_freeze_silences_it_and_thaw_has_it_serve_on(start: Callable[..., Running]) -> None:
    """A hang that leaves no worker out: health gets no answer; afterwards it predicts as before."""
    running = start()
    running.child.freeze()
    assert health_is_silent(running.server, HOST, running.port, 1.0)
    running.child.thaw()
    assert wait_until(running.serves, DEADLINE_S)


def test_stop_ends_it_within_its_time(start: Callable[..., Running]) -> None:
    """Asked politely or killed after that: nothing listens and no process is left."""
    running = start()
    running.child.stop()
    assert port_refuses(HOST, running.port, 1.0)
    assert running.child.processes() == []


def test_ports_that_it_listens_on_are_those_that_it_was_given(server: str, start: Callable[..., Running]) -> None:
    """All of them; BentoML's supervisor chooses two more for itself."""
    running = start()
    ports = listening_ports(running.child.processes())
    assert set(running.place.ports) <= set(ports)
    assert len(ports) == len(running.place.ports) + (2 if server == "bentoml" else 0)


def test_sigkill_of_the_process_group_is_survived_by_those_that_leave_it(
    server: str, start: Callable[..., Running]
) -> None:
    """Why the experiments kill the tree: docs/servers.md says which servers a group's kill misses."""
    running = start()
    os.killpg(running.child.pid, signal.SIGKILL)
    assert port_refuses(HOST, running.port, 1.0) == (server not in SURVIVE_THE_GROUP)
    assert running.serves() == (server in SURVIVE_THE_GROUP)


def test_sigkill_of_the_leader_is_survived_by_some(server: str, start: Callable[..., Running]) -> None:
    """Nor does it do to kill what was started: docs/servers.md says whose workers serve on."""
    running = start()
    os.kill(running.child.pid, signal.SIGKILL)
    assert port_refuses(HOST, running.port, 1.0) == (server not in SURVIVE_THE_LEADER)
    assert running.serves() == (server in SURVIVE_THE_LEADER)
