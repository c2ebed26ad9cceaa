"""HAProxy, its guard and its folder: who ends with whom, and when the folder may go."""

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from routing.haproxy.process import HAProxyProcess
from routing.haproxy.runtime import RuntimeApi, RuntimeApiError
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
CONFIGURATION = """
global
    stats socket {} mode 600 level admin
defaults
    mode http
    timeout client 1s
frontend public
    bind fd@{}
"""


@dataclass
class Running:
    """An HAProxy, as the router that has started it sees it, and the pipe that its life hangs on: both its ends."""

    process: HAProxyProcess
    life: int
    owner: int

    def pid(self) -> int:
        """HAProxy's own process id, as it says."""
        return pid(self.process)


def pid(process: HAProxyProcess) -> int:
    """HAProxy's own process id, as it says; 0: it does not answer yet."""
    try:
        answer = RuntimeApi(process.runtime_socket).query(["show info"])
    except RuntimeApiError:
        return 0
    return next(int(line.split()[1]) for line in answer.splitlines() if line.startswith("Pid:"))


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which folders are made; its path leaves room for a Unix socket's."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def running(temporary: Path) -> Iterator[Running]:
    """A running HAProxy."""
    read_end, write_end = os.pipe()
    process = HAProxyProcess(shutil.which("haproxy") or "", read_end)
    with socket.create_server(("127.0.0.1", 0)) as public:
        process.start(CONFIGURATION.format(process.runtime_socket, public.fileno()), public.fileno(), {}, b"planned")
    wait_until(lambda: pid(process))
    yield Running(process, read_end, write_end)
    process.stop(0)
    os.close(read_end)
    with suppress(OSError):
        os.close(write_end)


def ended(pid: int) -> bool:
    """Whether there is no such process any more."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def left_behind(running: Running) -> list[HAProxyProcess]:
    """What the next router finds."""
    return HAProxyProcess.left_behind("", running.life)


def test_haproxy_without_a_router_keeps_its_folder_and_can_be_adopted(running: Running) -> None:
    """As long as its life pipe is open nobody removes its folder; who finds it can ask it, and stop it."""
    folder = running.process.folder.path
    [found] = left_behind(running)
    assert (found.folder.path, found.runs_by(b"planned"), found.runs_by(b"another")) == (folder, True, False)
    haproxy = pid(found)
    HAProxyProcess("").stop(0)  # another router's, which cleans up
    assert (folder.is_dir(), found.running()) == (True, True)
    found.stop(1)
    assert (ended(haproxy), folder.exists(), running.process.running()) == (True, False, False)
    assert left_behind(running) == []


def test_haproxy_of_another_supervisor_or_user_is_not_found(running: Running) -> None:
    """Only who has the same life pipe may follow it, and nobody is led to a folder that others could have made."""
    read_end, write_end = os.pipe()
    assert HAProxyProcess.left_behind("", read_end) == []
    os.close(read_end)
    os.close(write_end)
    running.process.folder.path.chmod(0o755)
    assert left_behind(running) == []


def test_haproxy_ends_with_its_life_pipe_and_is_not_found(running: Running) -> None:
    """At the pipe's end of file HAProxy and guard end; who looks for it next finds none, and removes what it left."""
    folder, haproxy = running.process.folder.path, running.pid()
    guard = os.getpgid(haproxy)
    os.close(running.owner)
    wait_until(lambda: ended(haproxy) and ended(guard))
    assert left_behind(running) == []
    assert not folder.exists()


@pytest.mark.parametrize("adopted", [False, True])
def test_haproxy_without_its_guard_counts_as_ended_and_is(running: Running, adopted: bool) -> None:
    """Nothing would end an HAProxy without a guard, so it runs no more for its router, which ends it surely."""
    [process] = left_behind(running) if adopted else [running.process]
    haproxy = running.pid()
    assert process.running()
    os.kill(os.getpgid(haproxy), signal.SIGKILL)  # its guard leads its group
    wait_until(lambda: not running.process.running() and not process.running())
    assert not ended(haproxy)
    process.stop(0)
    assert ended(haproxy)
