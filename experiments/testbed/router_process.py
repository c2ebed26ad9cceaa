"""The router of a deployment: its process, or the supervisor of those of which one serves, and who that is."""

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from cli import CommandError
from experiments.testbed.processes import Child
from experiments.testbed.signals import StopRequest

REPLACED_WITHIN_S = 30.0
"""So soon another process must serve, or a spare be ready: one imports for a second, on a busy machine for longer."""

LEFT_WITHIN_S = 60.0
"""So soon a process that another has taken over from must have ended: it answers what it has, within the deadline."""

SPARE_READY, TAKEN_OVER = "is ready as the spare", "takes over"
"""The supervisor's words in the log: of a spare, and of one that serves from then on."""

LOOK_EVERY_S = 0.01


class RouterProcess(Child):
    """The router as a child; a supervised one has another process take over from the one that serves."""

    def __init__(
        self, argv: Sequence[str], log: Path, cwd: Path, get_state: Callable[[], dict[str, Any] | None]
    ) -> None:
        """`get_state` is the admin port's topology, None where nothing answers. Raises CommandError."""
        super().__init__("router", argv, log, cwd)
        self._get_state = get_state
        self._serving: psutil.Process | None = None
        """The process that must serve, behind a supervisor; None until it is known."""
        self._leaving: psutil.Process | None = None
        """The one that is to end, and that another is to take over from."""

    def require_alive(self) -> None:
        """Raises CommandError when it has ended, or the process that serves has: though another may serve by then."""
        super().require_alive()
        if self._serving is not None and not self._serving.is_running():
            raise CommandError(f"{self.name}: the process that served ({self._serving.pid}) has ended\n{self.tail()}")

    def note_serving(self) -> bool:
        """Notes which process serves, by its own word, if it is not the one that is to end; returns whether it did."""
        state = self._get_state()
        if state is None or (self._leaving is not None and state["pid"] == self._leaving.pid):
            return False
        with suppress(psutil.NoSuchProcess):  # it has ended since
            self._serving = psutil.Process(state["pid"])
        return self._serving is not None

    def has_spare(self) -> bool:
        """Whether a spare has become ready since a process last took over: then none is about to take over."""
        log = self.log.read_text(encoding="utf-8", errors="replace")
        return log.rfind(SPARE_READY) > log.rfind(TAKEN_OVER)

    def wait_for_spare(self, stop: StopRequest, within_s: float = REPLACED_WITHIN_S) -> None:
        """Waits until a spare is ready. Raises CommandError."""
        if not stop.wait_until(self.has_spare, within_s):
            raise CommandError(f"{self.name}: no spare is ready within {within_s:g} s\n{self.tail()}")

    def upgrade(self) -> None:
        """Has the supervisor (SIGHUP) start a process of the code as it is now, which takes over."""
        self._expect_end()
        os.kill(self.pid, signal.SIGHUP)

    def crash(self) -> None:
        """Kills the process that serves (SIGKILL)."""
        self._expect_end().kill()

    def why_not_replaced(self, stop: StopRequest, within_s: float = REPLACED_WITHIN_S) -> str:
        """Why it is not proven that another process has taken over: within this time one must serve. Empty where so."""
        if stop.wait_until(self.note_serving, within_s, LOOK_EVERY_S):
            return ""
        self._serving, self._leaving = self._leaving, None
        return f"no other process of the router serves within {within_s:g} s"

    def wait_until_left(self, stop: StopRequest, within_s: float = LEFT_WITHIN_S) -> None:
        """Waits until the process that another has taken over from has ended. Raises CommandError."""
        leaving = self._leaving
        if leaving is not None and not stop.wait_until(lambda: not leaving.is_running(), within_s):
            raise CommandError(f"{self.name}: process {leaving.pid} has not ended {within_s:g} s after another serves")
        self._leaving = None

    def _expect_end(self) -> psutil.Process:
        """The process that serves, which is about to end."""
        if self._serving is None:
            raise CommandError(f"{self.name} is not supervised: no process takes over from the one that serves")
        self._leaving, self._serving = self._serving, None
        return self._leaving
