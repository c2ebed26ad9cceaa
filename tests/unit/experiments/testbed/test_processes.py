"""Child processes: SIGTERM, then SIGKILL; nothing that they started stays; an end comes with its log."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil
import pytest

from cli import CommandError
from experiments.testbed import processes
from experiments.testbed.processes import Child, LoadProcess, kill_all, stop_all, wait_until_ready
from experiments.testbed.signals import InterruptedBySignalError, StopRequest, stop_on_signals
from tests.harness.project import ROOT

DEADLINE_S = 20.0
ON_SIGTERM = "import signal, time; signal.signal(15, {}); print('ready', flush=True); time.sleep(60)"
ENDS_AT_SIGTERM = ON_SIGTERM.format("lambda *_: exit(7)")
IGNORES_SIGTERM = ON_SIGTERM.format("signal.SIG_IGN")
PARENT = (
    "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print('ready', p.pid, flush=True); time.sleep(60)"
)

STARTS_WHILE_SIGNALLED = """
import os, signal, threading
from pathlib import Path
from experiments.testbed.processes import Child

def signal_on():
    while not ended.wait(0.0005):
        os.killpg(0, signal.SIGINT)

ended = threading.Event()
signal.signal(signal.SIGINT, lambda *_: None)
threading.Thread(target=signal_on).start()
children = [Child("child", ["true"], Path("log"), Path(".")) for _ in range(100)]
for child in children:
    child.finish_kill()
ended.set()
print({child.exit_status for child in children}, "ready", flush=True)
"""

Start = Callable[[str], Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Python programs that are ended with the test, and waits until they print that they are ready."""
    children: list[Child] = []

    def start_one(program: str) -> Child:
        log = tmp_path / f"{len(children)}.log"
        child = Child(f"child{len(children)}", [sys.executable, "-c", program], log, cwd=tmp_path)
        children.append(child)
        if "ready" in program:
            wait_for(lambda: "ready" in log.read_text())
        return child

    yield start_one
    for child in children:
        child.stop(0.0)


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until it holds, or fails."""
    assert StopRequest().wait_until(condition, DEADLINE_S, 0.01), "waited in vain"


def test_wait_until_returns_whether_the_condition_came_to_hold() -> None:
    """It is polled until it holds, or the time is over; a stop, or what it raises, ends the wait."""
    answers = iter([False, False, True])
    stop = StopRequest()
    assert stop.wait_until(lambda: next(answers), DEADLINE_S, 0.0)
    assert not stop.wait_until(lambda: False, 0.0, 0.0)
    with pytest.raises(StopIteration):
        stop.wait_until(lambda: next(answers), DEADLINE_S, 0.0)
    stop.request(signal.SIGTERM)
    with pytest.raises(InterruptedBySignalError) as raised:
        stop.wait_until(lambda: False, DEADLINE_S)
    assert raised.value.exit_status == 143


def test_wait_calls_its_check() -> None:
    """What happens to the processes meanwhile ends the wait."""
    with pytest.raises(CommandError, match="predict1 ended"):
        StopRequest().wait(DEADLINE_S, Mock(side_effect=CommandError("predict1 ended")))


def test_child_stop_sends_sigterm_first(start: Start) -> None:
    """A child that ends at SIGTERM ends its own way, within the grace."""
    child = start(ENDS_AT_SIGTERM)
    before = time.monotonic()
    child.stop(grace_s=DEADLINE_S)
    assert child.exit_status == 7
    assert time.monotonic() - before < DEADLINE_S / 2


def test_child_stop_kills_when_sigterm_is_ignored(start: Start) -> None:
    """A child that ignores SIGTERM is killed after the grace, not before."""
    child = start(IGNORES_SIGTERM)
    before = time.monotonic()
    child.stop(grace_s=0.3)
    assert child.exit_status == -signal.SIGKILL
    assert time.monotonic() - before >= 0.3


def test_child_stop_ends_what_the_child_started(start: Start) -> None:
    """The whole group goes, also when its leader went by itself."""
    child = start(PARENT)
    grandchild = psutil.Process(int(child.log.read_text().split()[1]))
    os.kill(child.pid, signal.SIGKILL)
    wait_for(child.has_ended)
    child.stop()
    wait_for(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)


def test_child_stop_twice_is_fine(start: Start) -> None:
    """Already gone is no error."""
    child = start(ENDS_AT_SIGTERM)
    child.stop()
    child.stop()
    child.terminate()
    assert child.has_ended()


def test_stop_all_shares_one_grace(start: Start) -> None:
    """Several children that ignore SIGTERM cost one grace, not one each."""
    children = [start(IGNORES_SIGTERM) for _ in range(3)]
    before = time.monotonic()
    stop_all(children, grace_s=0.5)
    assert time.monotonic() - before < 1.4
    assert all(child.has_ended() for child in children)


def test_child_is_in_a_group_of_its_own(start: Start) -> None:
    """Ctrl-C in the terminal reaches the experiment alone, which then stops its children in order."""
    child = start(ENDS_AT_SIGTERM)
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)


def test_child_that_cannot_start_is_named(tmp_path: Path) -> None:
    """A missing program is one line with its name."""
    with pytest.raises(CommandError, match=r"router could not be started: .*no-such-program"):
        Child("router", [str(tmp_path / "no-such-program")], tmp_path / "log", cwd=tmp_path)


def test_child_does_not_inherit_settings_for_locust(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A LOCUST_ variable of the user's shell would change the swarm unnoticed."""
    monkeypatch.setenv("LOCUST_SPAWN_RATE", "100")
    child = start("import os; print('ready', [name for name in os.environ if name.startswith('LOCUST_')])")
    wait_for(child.has_ended)
    assert child.log.read_text() == "ready []\n"


def test_wait_until_ready_names_a_child_that_ended_with_its_log(start: Start) -> None:
    """A program that does not come up is named, with exit status and last lines."""
    child = start("import sys; print('port 9696 is busy'); sys.exit(2)")
    with pytest.raises(CommandError) as raised:
        wait_until_ready({child: lambda: False}, StopRequest())
    assert str(raised.value) == "child0 ended (exit status 2)\n  | port 9696 is busy"


def test_wait_until_ready_gives_up_on_a_silent_child(start: Start) -> None:
    """A program that runs but never serves is named after the time it had."""
    child = start(ENDS_AT_SIGTERM)
    with pytest.raises(CommandError, match=r"child0 did not come up within 0.1 s"):
        wait_until_ready({child: lambda: False}, StopRequest(), within_s=0.1)


def test_wait_until_ready_that_is_interrupted_says_what_it_waited_for(start: Start) -> None:
    """Who breaks off a long wait is told the reason, too."""
    child, stop = start(ENDS_AT_SIGTERM), StopRequest()
    stop.request(signal.SIGINT)
    with pytest.raises(InterruptedBySignalError) as raised:
        wait_until_ready({child: lambda: False}, stop, reason=lambda _: "GET /health answers 404")
    assert str(raised.value) == "stopped by SIGINT: child0 was not ready: GET /health answers 404"
    assert raised.value.exit_status == 130


def test_wait_until_ready_returns_when_all_are(start: Start) -> None:
    """Each child has a test of its own; one that was ready is not polled again."""
    polls: list[int] = []
    first, second = start(ENDS_AT_SIGTERM), start(ENDS_AT_SIGTERM)
    wait_until_ready({first: lambda: True, second: lambda: polls.append(1) is None and len(polls) > 2}, StopRequest())
    assert len(polls) == 3


def test_require_alive_names_the_signal_of_a_killed_child(start: Start) -> None:
    """A child that was killed is named with the signal."""
    child = start(ENDS_AT_SIGTERM)
    os.kill(child.pid, signal.SIGKILL)
    wait_for(child.has_ended)
    with pytest.raises(CommandError, match="killed by SIGKILL"):
        child.require_alive()


def test_child_started_while_its_starter_is_signalled_is_not_hit(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C goes to the whole group of the experiment: a child that is just being started is in its own already."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert start(STARTS_WHILE_SIGNALLED).log.read_text() == "{0} ready\n"


@contextmanager
def handled(handler: Any) -> Iterator[None]:
    """Has SIGINT handled so while the block runs: a job in the background ignores it, and so do tests there."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_stop_on_signals_records_the_first_and_ignores_more() -> None:
    """The first signal is a request to stop; further ones do not break off the clearing up; handlers come back."""
    with handled(signal.default_int_handler):
        with stop_on_signals() as stop:
            stop.check()
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(InterruptedBySignalError) as raised:
                stop.wait(DEADLINE_S)
        assert raised.value.exit_status == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_stop_on_signals_leaves_an_ignored_signal_ignored() -> None:
    """What nohup, or a shell for a job in the background, has the program ignore does not stop it."""
    with handled(signal.SIG_IGN), stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        stop.check()


def start_load(folder: Path, program: str) -> LoadProcess:
    """Starts a module that is this program."""
    (folder / "load.py").write_text(program)
    return LoadProcess("generator", ["load"], {"--rate": 5}, folder / "log", folder)


def test_load_process_wait_until_ended_returns_at_the_end_with_its_options_given(tmp_path: Path) -> None:
    """Name and value of each option; the check is called at least once."""
    checks: list[int] = []
    with start_load(tmp_path, "import sys; print(sys.argv[1:])") as load:
        load.wait_until_ended(20.0, lambda: checks.append(1), StopRequest())
    assert (load.exit_status, load.log.read_text()) == (0, "['--rate', '5']\n")
    assert checks


def test_load_process_wait_until_ended_gives_up_on_one_that_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name and log stand in the error, and no process is left."""
    monkeypatch.setattr(processes, "OVERHEAD_S", 0.0)
    with (
        pytest.raises(CommandError, match="generator has not ended after 0 s"),
        start_load(tmp_path, "import time; time.sleep(60)") as load,
    ):
        load.wait_until_ended(0.0, lambda: None, StopRequest())
    assert load.exit_status is not None


class Recorded:
    """A child that notes what is done to it."""

    def __init__(self, name: str, done: list[str]) -> None:
        self.name, self.done = name, done

    def send_kill(self) -> None:
        """Notes the signal."""
        self.done.append(f"kill {self.name}")

    def finish_kill(self) -> None:
        """Notes the wait."""
        self.done.append(f"wait {self.name}")


def test_kill_all_waits_for_none_before_all_have_the_signal() -> None:
    """Predictors that fail together do so at the same moment, however long the first one's end takes."""
    done: list[str] = []
    kill_all([Recorded("predict1", done), Recorded("predict2", done)])  # type: ignore[list-item]
    assert done == ["kill predict1", "kill predict2", "wait predict1", "wait predict2"]
