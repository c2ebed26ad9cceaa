"""Child processes, those that send load among them: started, waited for, stopped with SIGTERM, then with SIGKILL."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from cli import CommandError, option_words
from experiments.testbed.signals import StopRequest

GRACE_S = 5.0
"""How long a child may take to end after SIGTERM before its whole group gets SIGKILL."""

READY_WITHIN_S = 180.0
"""How long a child may take to serve: importing scikit-learn takes seconds, twenty at once more than a minute."""

OVERHEAD_S = 60.0
"""What a load generator may take beyond its own time, to load and to end, before it counts as stuck."""

POLL_EVERY_S = 0.05
CHECK_EVERY_S = 0.2
TAIL_LINES = 8

PORTS = range(20000, 32000)
"""Below the ports that Linux and macOS give to outgoing connections, which a swarm uses by the hundred."""

subprocess._USE_VFORK = False  # type: ignore[misc]  # subprocess documents it
"""A child of vfork() dies of a Ctrl-C that comes before it has its own group, and looks like one that failed."""

_given_out: set[int] = set()
"""Deployments that are set up side by side reserve their ports before anything listens on them."""

_choosing = threading.Lock()


class Child:
    """One child process, leader of its own process group, with its output in a log file."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, cwd: Path) -> None:
        """Starts it. Raises CommandError when the program cannot be started at all."""
        self.name = name
        self.log = log
        try:
            with log.open("ab") as sink:
                self._process = subprocess.Popen(
                    argv, cwd=cwd, env=_environment(), process_group=0,
                    stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                )  # fmt: skip
        except OSError as error:
            raise CommandError(f"{name} could not be started: {argv[0]}: {error.strerror}") from error
        self.pid = self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Its exit status once stop() has waited for its end, else None; minus the signal's number when killed."""
        return self._process.returncode

    def has_ended(self) -> bool:
        """Whether it has ended by itself. Leaves it unreaped, so that its group's number stays its own."""
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def require_alive(self) -> None:
        """Raises CommandError, with its log's last lines, when it has ended."""
        if self.has_ended():
            self.stop(0.0)
            raise CommandError(f"{self.name} ended ({_describe_exit(self.exit_status)})\n{self.tail()}")

    def terminate(self) -> None:
        """Sends SIGTERM to its group, and SIGCONT, for a frozen one would not react; already gone is fine."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def freeze(self) -> None:
        """Stops its group where it stands (SIGSTOP): connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets its group go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kills its group (SIGKILL) and waits for its end."""
        kill_all([self])

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Ends it and whatever it started: SIGTERM, `grace_s` to end by itself, SIGKILL to the group."""
        self.terminate()
        deadline = time.monotonic() + grace_s
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(POLL_EVERY_S)
        self.kill()

    def tail(self) -> str:
        """The last lines of its log, indented, for an error message."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(f"  | {line}" for line in text.splitlines()[-TAIL_LINES:]) or "  | (its log is empty)"

    def send_kill(self) -> None:
        """Sends SIGKILL to its group."""
        self._signal(signal.SIGKILL)

    def wait(self) -> None:
        """Waits for its end."""
        self._process.wait()

    def _signal(self, signum: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signum)


class LoadProcess(Child):
    """A Python module that sends load; a context that leaves no process."""

    def __init__(self, name: str, words: list[str], options: Mapping[str, object], log: Path, cwd: Path) -> None:
        """Starts `python -m`, the words (the module and its flags), the options. Raises CommandError."""
        super().__init__(name, [sys.executable, "-m", *words, *option_words(options)], log, cwd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()

    def wait_until_ended(self, duration_s: float, check: Callable[[], None], stop: StopRequest) -> None:
        """Waits until it ends by itself, and calls `check`, which may raise, a few times a second.

        Raises CommandError when it takes longer than `duration_s` and OVERHEAD_S.
        """

        def has_ended() -> bool:
            ended = self.has_ended()
            check()
            return ended

        limit_s = duration_s + OVERHEAD_S
        if not stop.wait_until(has_ended, limit_s, CHECK_EVERY_S):
            raise CommandError(f"{self.name} has not ended after {limit_s:.0f} s\n{self.tail()}")


def kill_all(children: Sequence[Child]) -> None:
    """Kills all of them at the same moment (SIGKILL), then waits for their ends."""
    for child in children:
        child.send_kill()
    for child in children:
        child.wait()


def stop_all(children: Sequence[Child], grace_s: float = GRACE_S) -> None:
    """Sends SIGTERM to all of them, then waits for each, `grace_s` altogether, and kills it."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + grace_s
    for child in children:
        child.stop(max(0.0, deadline - time.monotonic()))


def wait_until_ready(
    children: Mapping[Child, Callable[[], bool]], stop: StopRequest, within_s: float = READY_WITHIN_S
) -> None:
    """Waits until every child's own test holds. Raises CommandError when one ends, or is not ready `within_s`."""
    waiting = dict(children)

    def all_ready() -> bool:
        for child in children:
            child.require_alive()
        for child in [child for child, is_ready in waiting.items() if is_ready()]:
            del waiting[child]
        return not waiting

    if not stop.wait_until(all_ready, within_s):
        late = next(iter(waiting))
        raise CommandError(f"{late.name} did not come up within {within_s:g} s\n{late.tail()}")


def free_ports(count: int) -> list[int]:
    """Reserves `count` different ports of 127.0.0.1 on which nothing listens just now; none is given out twice."""
    found: list[int] = []
    with _choosing:
        for port in random.sample(PORTS, len(PORTS)):
            if port in _given_out:
                continue
            with socket.socket() as sock, suppress(OSError):
                sock.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                _given_out.update(found)
                return found
    raise CommandError(f"no {count} free ports from {PORTS.start} to {PORTS.stop - 1}")


def _describe_exit(exit_status: int | None) -> str:
    if exit_status is not None and exit_status < 0:
        return f"killed by {signal.Signals(-exit_status).name}"
    return f"exit status {exit_status}"


def _environment() -> dict[str, str]:
    """This process's environment without LOCUST_* settings: they would change the swarm unnoticed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    return own | {"PYTHONUNBUFFERED": "1"}
