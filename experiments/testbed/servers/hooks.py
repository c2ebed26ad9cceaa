"""A predictor that is no child of the rig: what is done to it, its user's hooks do."""

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from cli import CommandError
from experiments.testbed.processes import tail_of
from experiments.testbed.servers.model_servers import hook_of
from server_file import Place, Server

HOOK_WITHIN_S = 60.0
"""How long a hook may take: `docker stop` alone waits 10 s for an end."""


class Hook:
    """A hook's command while it runs; what it starts in the background is left alone."""

    def __init__(self, action: str, server: Server, place: Place, log: Path) -> None:
        """Starts it. Raises UsageError for a program that is not to be found, CommandError where it cannot start."""
        command = hook_of(action, server, place)
        self._what = f"{place.name}: the hook {action} ({shlex.join(command.argv)})"
        self._log = log
        try:
            with log.open("ab") as sink:
                self._from = sink.tell()
                self._process = subprocess.Popen(
                    command.argv, cwd=command.cwd, env=command.env, process_group=0,
                    stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                )  # fmt: skip
        except OSError as error:
            raise CommandError(f"{self._what} could not be started: {error.strerror}") from error

    def finish(self) -> None:
        """Waits for its good end. Raises CommandError with its last line."""
        try:
            status = self._process.wait(HOOK_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            os.killpg(self._process.pid, signal.SIGKILL)  # what a shell waits for, too
            self._process.wait()
            raise CommandError(f"{self._what} has not ended after {HOOK_WITHIN_S:g} s{self._last_line()}") from error
        if status != 0:
            raise CommandError(f"{self._what} ended with exit status {status}{self._last_line()}")

    def _last_line(self) -> str:
        with self._log.open("rb") as file:
            file.seek(self._from)
            lines = file.read().decode(errors="replace").split("\n")
        return next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")


class HookedPredictor:
    """A predictor that hooks reach; it has the methods of a Child, none of which returns before its hook has begun."""

    def __init__(self, server: Server, place: Place, log: Path) -> None:
        """Starts it if there is a hook that does; else it must be running. Raises CommandError."""
        self.name = place.name
        self.grace_s = server.stop_within_s
        self._server, self._place, self._log = server, place, log
        self._going: Hook | None = None
        self._is_frozen = self._has_ended = False
        log.touch()
        if "start" in server.hooks:
            self._start()

    def processes(self) -> list[psutil.Process]:
        """None that is known."""
        return []

    def require_alive(self) -> None:
        """Of its process nothing is known: the router notices its end."""

    def terminate(self) -> None:
        """Begins to stop it, unless that has been done."""
        if not self._has_ended:
            self.thaw()
            self._begin("stop")

    def stop(self, _: float | None = None) -> None:
        """Stops it, and waits until its hook has."""
        self.terminate()
        self.finish_kill()

    def send_kill(self) -> None:
        """Begins to crash it."""
        self._begin("crash")

    def finish_kill(self) -> None:
        """Waits until the hook that was begun has done it. Raises CommandError."""
        hook, self._going = self._going, None
        if hook is not None:
            hook.finish()

    def freeze(self) -> None:
        """Has it hang."""
        self._is_frozen = True  # of a hook that fails it is not known how far it got
        self._run("hang")

    def thaw(self) -> None:
        """Lets it go on, if it was made to hang."""
        if self._is_frozen:
            self._is_frozen = False
            self._run("resume")

    def begin_to_leave(self) -> None:
        """Begins to stop it if it was started here; else it goes on, as before. Raises CommandError."""
        self.finish_kill()
        self.thaw()
        if not self._has_ended and self._server.hooks.keys() >= {"start", "stop"}:
            self._begin("stop")

    def tail(self) -> str:
        """The last lines of what its hooks have said, indented; empty if nothing."""
        return tail_of(self._log) if self._log.stat().st_size else ""

    def _start(self) -> None:
        try:
            self._run("start")
        except CommandError:
            with suppress(CommandError):  # the first error is the one to be told
                leave_all([self])  # it may have been started all the same
            raise

    def _begin(self, action: str) -> None:
        self._has_ended = True
        self._going = Hook(action, self._server, self._place, self._log)

    def _run(self, action: str) -> None:
        Hook(action, self._server, self._place, self._log).finish()


def leave_all(predictors: Sequence[HookedPredictor]) -> None:
    """Stops those that were started here, at the same time. Raises the first CommandError once all have been tried."""
    errors = []
    for step in (HookedPredictor.begin_to_leave, HookedPredictor.finish_kill):
        for predictor in predictors:
            try:
                step(predictor)
            except CommandError as error:
                errors.append(error)
    if errors:
        raise errors[0]
