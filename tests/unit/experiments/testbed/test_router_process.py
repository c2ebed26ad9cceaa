"""A supervised router as the experiments have it: whose process serves, and that another takes over."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli import CommandError
from experiments.testbed.processes import Child, stop_all
from experiments.testbed.router_process import RouterProcess
from experiments.testbed.signals import StopRequest

DEADLINE_S = 20.0
SUPERVISOR = ["/bin/sh", "-c", "trap 'echo hung up' HUP; sleep 600 & echo up; while :; do wait $!; done"]
"""It starts nothing once it is up: one that started a `sleep` after the other did once not heed its SIGHUP."""


class Rig:
    """A supervisor that only notes a SIGHUP, and processes that would serve; the admin port names one of them."""

    def __init__(self, folder: Path) -> None:
        self.processes = [Child(n, ["/bin/sleep", "600"], folder / n, folder) for n in ("first", "second")]
        self.serving: int | None = self.processes[0].pid
        self.log = folder / "router.log"
        self.router = RouterProcess(
            SUPERVISOR, self.log, folder, lambda: {"pid": self.serving} if self.serving else None
        )
        assert StopRequest().wait_until(lambda: self.log.read_text() == "up\n", DEADLINE_S, 0.01)
        assert self.router.note_serving()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A supervised router; nothing of it is left afterwards."""
    found = Rig(tmp_path)
    yield found
    stop_all([found.router, *found.processes], 0.0)


def test_crash_kills_the_process_that_serves_and_another_takes_over(rig: Rig) -> None:
    """Not the supervisor; until another serves it is not proven, and nobody misses the one that is gone."""
    first, second = rig.processes
    rig.router.crash()
    assert StopRequest().wait_until(first.has_ended, DEADLINE_S, 0.01)
    rig.router.require_alive()
    rig.serving = None
    assert not rig.router.note_serving()
    rig.serving = second.pid
    assert rig.router.why_not_replaced(StopRequest()) == ""
    first.stop()
    rig.router.wait_until_left(StopRequest())
    rig.router.require_alive()


def test_upgrade_hangs_the_supervisor_up_and_ends_once_the_old_process_has_left(rig: Rig) -> None:
    """Another that serves is the proof, the end of the one before it the end; it may take long, and is waited for."""
    first, second = rig.processes
    rig.router.upgrade()
    assert StopRequest().wait_until(lambda: "hung up" in rig.log.read_text(), DEADLINE_S, 0.01)
    rig.serving = second.pid
    assert rig.router.why_not_replaced(StopRequest()) == ""
    with pytest.raises(CommandError, match=f"process {first.pid} has not ended 0 s after another serves"):
        rig.router.wait_until_left(StopRequest(), 0.0)
    first.stop()
    rig.router.wait_until_left(StopRequest())


def test_upgrade_that_changes_nothing_is_no_proof_and_no_failure(rig: Rig) -> None:
    """A process of the new code that does not start leaves the old one serving."""
    rig.router.upgrade()
    assert rig.router.why_not_replaced(StopRequest(), 0.05) == "no other process of the router serves within 0.05 s"
    rig.router.wait_until_left(StopRequest(), 0.0)
    rig.router.require_alive()


def test_spare_is_waited_for_after_each_time_that_one_takes_over(rig: Rig) -> None:
    """Its supervisor's log tells; an upgrade that meets a crash may have two take over, one after the other."""
    with pytest.raises(CommandError, match="no spare is ready within 0 s"):
        rig.router.wait_for_spare(StopRequest(), 0.0)
    for line, ready in (
        ("process 12 is ready as the spare", True),
        ("process 12 takes over from process 11", False),
        ("process 13 is ready as the spare", True),
        ("process 12, which served, was killed by SIGKILL; the next one takes over", False),
    ):
        with rig.log.open("a") as log:
            log.write(f"router: {line}\n")
        assert rig.router.has_spare() is ready


@pytest.mark.parametrize("end", [lambda rig: rig.processes[0].stop(), lambda rig: rig.router.kill()])
def test_process_that_ends_by_itself_is_an_error_though_another_may_serve(rig: Rig, end: Callable[[Rig], None]) -> None:
    """What it lost is nobody's fault that was injected; so is the supervisor's end."""
    rig.router.require_alive()
    rig.serving = rig.processes[1].pid
    end(rig)
    with pytest.raises(CommandError, match=r"router.* ended"):
        rig.router.require_alive()
