"""Trees of processes: all that came of a child is found, frozen and killed, wherever it has gone."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from experiments.testbed.ports import free_ports
from experiments.testbed.process_trees import ProcessTree
from experiments.testbed.processes import Child
from experiments.testbed.servers.probes import port_refuses
from tests.harness.waiting import wait_until

LISTENS = """
import os, socket, sys, time
{escape}
sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("serving", os.getpid(), flush=True)
while True:
    sock.accept()
"""
DOUBLE_FORK = "if os.fork(): time.sleep(60)\nos.setsid()\nif os.fork(): os._exit(0)"
"""The worker is in a session of its own, and no descendant of the leader any more."""

NEW_SESSION = "if os.fork(): time.sleep(60)\nos.setsid()"
CLEAN = 'if len(sys.argv) == 2: os.execve(sys.executable, [*sys.orig_argv, "cleaned"], {})'
"""The worker has no mark any more."""

CLEANED = f"if len(sys.argv) == 2:\n    {NEW_SESSION.replace(chr(10), chr(10) + '    ')}\n{CLEAN}"
CLEANED_ORPHAN = f"if len(sys.argv) == 2:\n    {DOUBLE_FORK.replace(chr(10), chr(10) + '    ')}\n{CLEAN}"
"""As a daemon of nginx, which writes its title over its environment."""

ESCAPES = {
    "double fork": DOUBLE_FORK,
    "new session": NEW_SESSION,
    "cleaned environment": CLEANED,
    "cleaned orphan": CLEANED_ORPHAN,
}

Start = Callable[[str], tuple[Child, int]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a leader whose worker escapes in this way and serves a port; returns both."""
    children: list[Child] = []

    def start_one(escape: str) -> tuple[Child, int]:
        [port] = free_ports(1)
        program = LISTENS.format(escape=escape)
        log = tmp_path / f"{len(children)}.log"
        child = Child("predict1", [sys.executable, "-c", program, str(port)], log, tmp_path)
        children.append(child)
        wait_until(lambda: "serving" in child.log.read_text())
        return child, port

    yield start_one
    for child in children:
        child.kill()


def worker_of(child: Child) -> psutil.Process:
    """The process that serves."""
    return psutil.Process(int(child.log.read_text().split()[-1]))


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
def test_kill_reaches_a_worker_that_left_group_and_session(start: Start, escape: str) -> None:
    """After kill the port refuses, and no process is left, not even a zombie."""
    child, port = start(escape)
    worker = worker_of(child)
    assert worker in child.processes()
    child.kill()
    assert port_refuses("127.0.0.1", port, 0.0)
    assert not worker.is_running()
    assert child.processes() == []


def test_kill_of_the_group_alone_leaves_a_port_that_does_not_refuse(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof of a crash fails where only the leader's group was killed: this is what the tree is for."""
    child, port = start(DOUBLE_FORK)
    with monkeypatch.context() as patched:
        patched.setattr(ProcessTree, "kill", lambda _: None)
        child.kill()
        assert not port_refuses("127.0.0.1", port, 0.2)
    child.kill()
    assert port_refuses("127.0.0.1", port, 0.0)


def test_freeze_and_thaw_reach_the_whole_tree(start: Start) -> None:
    """A frozen tree is stopped altogether, and goes on altogether."""
    child, _ = start(DOUBLE_FORK)
    child.freeze()
    assert {process.status() for process in child.processes()} == {psutil.STATUS_STOPPED}
    child.thaw()
    assert psutil.STATUS_STOPPED not in {process.status() for process in child.processes()}


def test_stop_ends_a_leader_by_sigterm_and_the_rest_after_its_grace(start: Start) -> None:
    """SIGTERM goes to the leader alone; what it leaves behind has the grace, too, and is killed then."""
    child, port = start(DOUBLE_FORK)
    child.stop(grace_s=0.3)
    assert child.exit_status == -15
    assert port_refuses("127.0.0.1", port, 0.0)


def test_stop_ends_a_frozen_tree(start: Start) -> None:
    """What is frozen goes on first: it could not end by itself."""
    child, port = start(NEW_SESSION)
    child.freeze()
    child.stop(grace_s=0.3)
    assert port_refuses("127.0.0.1", port, 0.0)


def test_trees_do_not_touch_each_other(start: Start) -> None:
    """The kill of one leaves what came of another."""
    (first, _), (second, port) = start(DOUBLE_FORK), start(DOUBLE_FORK)
    second.kill()
    assert worker_of(first).is_running()
    assert port_refuses("127.0.0.1", port, 0.0)


def test_kill_twice_is_fine(start: Start) -> None:
    """Already gone is no error, and a number that may be another's now is not used."""
    child, _ = start(NEW_SESSION)
    child.kill()
    child.kill()
    child.freeze()
    child.thaw()
    assert child.processes() == []
