"""Child processes, those that send load among them: started, waited for, stopped with SIGTERM, then with SIGKILL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

import psutil

from cli import CommandError, option_words
from experiments.testbed.process_trees import NONE, ProcessTree
from experiments.testbed.signals import InterruptedBySignalError, StopRequest

GRACE_S = 5.0
"""How long a child may take to end after SIGTERM before its whole tree gets SIGKILL."""

READY_WITHIN_S = 180.0
"""How long a child may take to serve: importing scikit-learn takes seconds, twenty at once more than a minute."""

OVERHEAD_S = 60.0
"""What a load generator may take beyond its own time, to load and to end, before it counts as stuck."""

POLL_EVERY_S = 0.05
CHECK_EVERY_S = 0.2
TAIL_LINES = 8

subprocess._USE_VFORK = False  # type: ignore[misc]  # subprocess documents it
"""A child of vfork() dies of a Ctrl-C that comes before it has its own group, and looks like one that failed."""


class Process(Protocol):
    """What can be done to one of a deployment's processes, whether it is a child of this one or reached by hooks."""

    name: str
    grace_s: float

    def processes(self) -> list[psutil.Process]:
        """All that belong to it and are known."""

    def require_alive(self) -> None:
        """Raises CommandError when it is known to have ended."""

    def terminate(self) -> None:
        """Begins to stop it politely, once."""

    def stop(self, grace_s: float | None = None) -> None:
        """Stops it politely, then surely, and waits for its end."""

    def freeze(self) -> None:
        """Has it stand where it is: connections stay open, nothing is answered."""

    def thaw(self) -> None:
        """Lets it go on."""

    def send_kill(self) -> None:
        """Begins to kill it."""

    def finish_kill(self) -> None:
        """Waits for its end."""

    def tail(self) -> str:
        """The last lines of its log, indented, for an error message."""


class Child:
    """One child process, leader of a tree and of a process group, with its output in a log file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        """Starts it; `env` is its environment, None: as the rig's own programs have it.

        Raises CommandError when the program cannot be started at all.
        """
        self.name = name
        self.log = log
        self.grace_s = grace_s
        self._tree = ProcessTree()
        self._is_frozen = self._is_ending = False
        environment = {**(_environment() if env is None else env), **self._tree.mark}
        try:
            with log.open("ab") as sink, self._tree.inherited() as descriptor:
                self._process = subprocess.Popen(
                    argv, cwd=cwd, env=environment, process_group=0, pass_fds=[descriptor],
                    stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                )  # fmt: skip
        except OSError as error:
            raise CommandError(f"{name} could not be started: {argv[0]}: {error.strerror}") from error
        self.pid = self._process.pid
        self._tree.set_leader(self.pid)

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
        """Sends SIGTERM to it alone, and once, for it ends what it started; a frozen tree goes on. Gone is fine."""
        if self._process.returncode is None and not self._is_ending:
            os.kill(self.pid, signal.SIGTERM)
            self._is_ending = True
        self._signal_group(signal.SIGCONT)
        if self._is_frozen:
            self.thaw()

    def freeze(self) -> None:
        """Stops its tree where it stands (SIGSTOP): connections stay open, nothing is answered."""
        self._is_frozen = True
        self._signal_group(signal.SIGSTOP)
        self._tree.freeze()

    def thaw(self) -> None:
        """Lets its tree go on (SIGCONT)."""
        self._signal_group(signal.SIGCONT)
        self._tree.thaw()
        self._is_frozen = False

    def kill(self) -> None:
        """Kills its tree (SIGKILL) and waits for the end of all of it."""
        kill_all([self])

    def stop(self, grace_s: float | None = None) -> None:
        """Ends it and all that came of it: SIGTERM, `grace_s` (None: its own) to end, SIGKILL to what is left."""
        if not self.has_ended():  # else there is nobody who would end the rest
            self.terminate()
            deadline = time.monotonic() + (self.grace_s if grace_s is None else grace_s)
            while not self._tree_has_ended() and time.monotonic() < deadline:
                time.sleep(POLL_EVERY_S)
        self.kill()

    def tail(self) -> str:
        """The last lines of its log, indented, for an error message."""
        return tail_of(self.log)

    def processes(self) -> list[psutil.Process]:
        """It, if it runs, and all that came of it; what is seen here is found again, whatever it does."""
        leader = [] if self.has_ended() else [psutil.Process(self.pid)]
        return [*leader, *self._tree.members()]

    def send_kill(self) -> None:
        """Sends SIGKILL to its group: of most programs this is the whole tree."""
        self._signal_group(signal.SIGKILL)

    def finish_kill(self) -> None:
        """Waits for its end, and kills what it has left behind."""
        self._process.wait()
        self._tree.set_leader(NONE)
        self._tree.kill()

    def _tree_has_ended(self) -> bool:
        return self.has_ended() and not self._tree.members()

    def _signal_group(self, signum: signal.Signals) -> None:
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


def tail_of(log: Path) -> str:
    """Returns the last lines of a log, indented, for an error message."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return "\n".join(f"  | {line}" for line in text.splitlines()[-TAIL_LINES:]) or "  | (its log is empty)"


def kill_all(children: Sequence[Process]) -> None:
    """Kills all of them at the same moment (SIGKILL), then waits for their ends."""
    for child in children:
        child.send_kill()
    for child in children:
        child.finish_kill()


def stop_all(children: Sequence[Process], grace_s: float | None = None) -> None:
    """Sends SIGTERM to all of them, then waits for each, `grace_s` (None: its own) after that, and kills it."""
    for child in children:
        child.terminate()
    begun_s = time.monotonic()
    for child in children:
        end_s = begun_s + (child.grace_s if grace_s is None else grace_s)
        child.stop(max(0.0, end_s - time.monotonic()))


def wait_until_ready(
    children: Mapping[Process, Callable[[], bool]],
    stop: StopRequest,
    within_s: float = READY_WITHIN_S,
    reason: Callable[[Process], str] = lambda _: "",
) -> None:
    """Waits until every child's own test holds; `reason` says why one's does not, if more is known than that.

    Raises CommandError when one ends, or is not ready `within_s`.
    """
    waiting = dict(children)

    def all_ready() -> bool:
        for child in children:
            child.require_alive()
        for child in [child for child, is_ready in waiting.items() if is_ready()]:
            del waiting[child]
        return not waiting

    try:
        if stop.wait_until(all_ready, within_s):
            return
    except InterruptedBySignalError as error:
        unready = [f"{child.name} was not ready: {why}" for child in [*waiting][:1] if (why := reason(child))]
        raise InterruptedBySignalError(error.signum, "".join(unready)) from error
    late = next(iter(waiting))
    known = f": {why}" if (why := reason(late)) else ""
    raise CommandError(f"{late.name} did not come up within {within_s:g} s{known}\n{late.tail()}".rstrip())


def _describe_exit(exit_status: int | None) -> str:
    if exit_status is not None and exit_status < 0:
        return f"killed by {signal.Signals(-exit_status).name}"
    return f"exit status {exit_status}"


def _environment() -> dict[str, str]:
    """This process's environment without LOCUST_* settings: they would change the swarm unnoticed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    return own | {"PYTHONUNBUFFERED": "1"}
