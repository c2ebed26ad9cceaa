"""A router that is not the rig's own, as a process: started, awaited, restarted, killed. It has no admin port."""

import re
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cli import CommandError
from experiments.testbed.processes import Child
from experiments.testbed.routers.rendering import RenderedRouter
from experiments.testbed.routers.router_file import RouterFile, fill
from experiments.testbed.servers.model_servers import listening_ports
from experiments.testbed.servers.probes import Outcome, ask, predict
from experiments.testbed.signals import StopRequest
from server_file import OWN, Server

HEALTH_TIMEOUT_S = 2.0
RESTART_WITHIN_S = 30.0
"""So long the command `restart` may take."""

MORE_THAN_DEADLINE_S = 1.0
"""A router that keeps its deadline has answered by then."""

TELL_AFTER_S = 5.0
"""One that is not ready by then is spoken of."""

LINE_CHARACTERS = 300

IN_BACKGROUND = "went into the background: keep it in the foreground (nginx: daemon off; haproxy: no -D)"
"""What is told of a command that has ended well and left processes."""

ERROR = re.compile(r"\b(alert|cannot|crit|critical|emerg|err|error|failed|fatal)\b", re.IGNORECASE)
"""In a line of a router's log that says why it does not start. Others may follow, which say only that it does not."""


class ForeignRouter(Child):
    """It, as a child: a failure is told in one line, with one of its log where it has ended or does not come up."""

    def __init__(
        self,
        router: RouterFile,
        rendered: RenderedRouter,
        log: Path,
        server: Server = OWN,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Starts it; `server` is what its predictors are, by which it is asked. Raises CommandError.

        `tell` is told once per start why it is not ready, where it goes on for long.
        """
        self._file, self._rendered, self._server = router, rendered, server
        self._log = log
        self._tell = tell
        self._why = ""
        self._is_starting = True
        self._log_start = 0
        self._begin()

    def _begin(self) -> None:
        rendered = self._rendered
        self._is_starting = True
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        grace_s = max(self._file.stop_within_s, rendered.settings.deadline_s + MORE_THAN_DEADLINE_S)
        super().__init__(self._file.name, rendered.command, self._log, rendered.cwd, rendered.env, grace_s)

    def require_alive(self) -> None:
        """Raises CommandError when it has ended."""
        if self.has_ended():
            has_left_others = bool(self.processes())
            self.stop(0.0)
            said = (first_error(self.log, self._log_start) if self._is_starting else "") or last_line(self.log)
            if has_left_others and self.exit_status == 0:
                raise CommandError(f"{self.name} {IN_BACKGROUND}{said and f': {said}'}")
            went = ": it must stay in the foreground" if self.exit_status == 0 else ""
            raise CommandError(f"{self.name} ended with exit status {self.exit_status}{went}: {said or 'no word'}")

    def is_ready(self) -> bool:
        """Whether it answers a prediction well, and its health check where it has one. Raises CommandError."""
        self._why = self._why_not_ready()
        return not self._why

    def wait_until_ready(self, stop: StopRequest) -> None:
        """Waits until it is; else ends it. Raises CommandError."""
        untold, since_s = [self._tell], time.monotonic()

        def is_ready() -> bool:
            self.require_alive()
            if self.is_ready():
                return True
            if untold and time.monotonic() - since_s >= TELL_AFTER_S:
                untold.pop()(f"{self.name}: still waiting, up to {self._file.ready_within_s:g} s: {self._why}")
            return False

        try:
            if stop.wait_until(is_ready, self._file.ready_within_s):
                self._is_starting = False
                return
        except BaseException:
            self.stop(0.0)
            raise
        self.stop(0.0)
        said = f"; its log: {error}" if (error := first_error(self.log, self._log_start)) else ""
        raise CommandError(f"{self.name} is not ready after {self._file.ready_within_s:g} s: {self._why}{said}")

    def crash(self) -> None:
        """Kills all of its processes (SIGKILL), and waits for their ends."""
        self.kill()

    def start_again(self, stop: StopRequest) -> None:
        """Starts it after its end, and waits until it is ready. Raises CommandError."""
        self._begin()
        self.wait_until_ready(stop)

    def restart(self, stop: StopRequest) -> None:
        """Restarts it as its operator would: by its command, else stopped politely and started. Raises CommandError."""
        if self._rendered.restart is None:
            self.stop()
            self.start_again(stop)
        else:
            self._run(self._rendered.restart)
            self.wait_until_ready(stop)

    def _run(self, words: tuple[str, ...]) -> None:
        values = {"pid": str(self.pid)}
        environment = {**self._rendered.env, **self._tree.mark}
        with self.log.open("ab") as sink:
            process = subprocess.Popen(
                [words[0], *(fill(word, values) for word in words[1:])], cwd=self._rendered.cwd, env=environment,
                process_group=0, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            status = process.wait(RESTART_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"{self.name}: restart has not returned after {RESTART_WITHIN_S:g} s") from error
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        if status != 0:
            raise CommandError(f"{self.name}: restart ended with exit status {status}: {last_line(self.log)}")

    def _why_not_ready(self) -> str:
        host, port = self._rendered.listen.host, self._rendered.listen.port
        if self._file.health is not None:
            health = ask(host, port, "GET", self._file.health, None, {}, HEALTH_TIMEOUT_S)
            if not health.is_good:
                return self._said(f"GET {self._file.health}", health)
        prediction = predict(self._server, host, port, self._rendered.settings.deadline_s + MORE_THAN_DEADLINE_S)
        return "" if prediction.is_good else self._said(f"a prediction at {self._server.path}", prediction)

    def _said(self, asked: str, outcome: Outcome) -> str:
        if not outcome.is_refused:
            return f"{asked} {outcome.said}"
        own, others = self._rendered.listen.port, listening_ports(self.processes())
        elsewhere = f", but on {', '.join(map(str, others))}" if others else ""
        return f"nothing listens on port {own}{elsewhere}: its configuration must name listen.host and listen.port"


def last_line(log: Path) -> str:
    """Returns the last line of a log that says something; of a long one its beginning and its end."""
    return next((_cut(line) for line in reversed(_lines(log)) if line), "")


def first_error(log: Path, start: int) -> str:
    """Returns the first line of a log, from byte `start` on, that tells of an error; cut as that. Empty: none does."""
    return next((_cut(line) for line in _lines(log, start) if ERROR.search(line)), "")


def _lines(log: Path, start: int = 0) -> list[str]:
    """Its lines, without what cannot be printed."""
    lines = log.read_bytes()[start:].decode("utf-8", "replace").split("\n")
    return [" ".join("".join(each if each.isprintable() else " " for each in line).split()) for line in lines]


def _cut(line: str) -> str:
    half = LINE_CHARACTERS // 2
    return line if len(line) <= LINE_CHARACTERS else f"{line[:half]} ... {line[-half:]}"
