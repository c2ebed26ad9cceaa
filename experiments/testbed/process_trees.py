"""Trees of processes: all that came of one, whichever group, session or parent they have moved to."""

import ctypes
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import NamedTuple

import psutil

MARK = "HA_RIG_CHILD"
"""The environment variable that tells a tree's processes from all others: it outlives setsid and double forks.

Not a program that writes its title over its environment, as nginx does: an inherited pipe tells that.
"""

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
GONE_WITHIN_S = 10.0
"""Processes that SIGKILL has not ended by then hang in the kernel, and nothing else ends them."""

POLL_EVERY_S = 0.005
NONE = -1
"""No process's number: what has no parent among the living has 0 for it."""


@cache
def adopt_orphans() -> None:
    """Makes this process the parent of every orphan among its descendants, on Linux: so it can await their ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class _Seen(NamedTuple):
    process: psutil.Process
    parent: int
    mark: str | None


class ProcessTree:
    """What a leader starts, directly or not; the leader, whose parent alone may await it, is not among it."""

    def __init__(self) -> None:
        adopt_orphans()
        self._mark = uuid.uuid4().hex
        self._pipe = ""
        self._leader = NONE
        self._known: set[psutil.Process] = set()

    @property
    def mark(self) -> dict[str, str]:
        """What the leader's environment must hold."""
        return {MARK: self._mark}

    @contextmanager
    def inherited(self) -> Iterator[int]:
        """A descriptor that the leader, started within the context, is to inherit: an end of a pipe that none uses."""
        reading, writing = os.pipe()
        try:
            os.close(writing)
            self._pipe = f"pipe:[{os.fstat(reading).st_ino}]"
            yield reading
        finally:
            os.close(reading)

    def set_leader(self, pid: int) -> None:
        """Names the leader, once it is started; NONE once its number may be another's."""
        self._leader = pid

    def members(self) -> list[psutil.Process]:
        """Those that run now, frozen ones too: by their mark, by their parents, and those found so before.

        A process that has cleaned its environment and closed all descriptors is missed if its parent was gone at each
        call.
        """
        seen = _look_around(but=self._leader)
        found = {each.process for each in seen if each.process in self._known or self._is_marked(each)}
        grows = True
        while grows:
            parents = {self._leader, *(process.pid for process in found)}
            more = {each.process for each in seen if each.parent in parents} - found
            found |= more
            grows = bool(more)
        self._known = found | {process for process in self._known - found if not _has_gone(process)}
        return list(found)

    def _is_marked(self, seen: _Seen) -> bool:
        """Whether it has the mark, or, as an orphan without any, the pipe."""
        if seen.mark is not None or seen.parent != os.getpid():
            return seen.mark == self._mark
        return bool(self._pipe) and self._pipe in _open_pipes(seen.process.pid)

    def freeze(self) -> None:
        """Stops them where they stand (SIGSTOP), and those that they start meanwhile."""
        self._signal_until(signal.SIGSTOP, lambda process: process.status() == psutil.STATUS_STOPPED)

    def thaw(self) -> None:
        """Lets them go on (SIGCONT)."""
        for process in self.members():
            _signal(process, signal.SIGCONT)

    def kill(self) -> None:
        """Kills them (SIGKILL), those that they start meanwhile too, and waits for their ends."""
        self._signal_until(signal.SIGKILL, lambda _: False)

    def _signal_until(self, signum: signal.Signals, is_done: Callable[[psutil.Process], bool]) -> None:
        """Signals every member that is not done, until there is none."""
        deadline = time.monotonic() + GONE_WITHIN_S
        while time.monotonic() < deadline:
            waiting = [process for process in self.members() if not _is_so(process, is_done)]
            if not waiting:
                return
            for process in waiting:
                _signal(process, signum)
            time.sleep(POLL_EVERY_S)


def _look_around(but: int) -> list[_Seen]:
    """Every process but this one and `but`, zombies left out."""
    seen = []
    for pid in set(psutil.pids()) - {but, os.getpid()}:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            with process.oneshot():
                if process.status() != psutil.STATUS_ZOMBIE:
                    seen.append(_Seen(process, process.ppid(), _mark_of(process)))
    return seen


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.AccessDenied, OSError):
        return None


def _open_pipes(pid: int) -> set[str]:
    """What its descriptors are, as Linux names them; empty where that cannot be told."""
    pipes: set[str] = set()
    with suppress(OSError):
        for each in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                pipes.add(os.readlink(each.path))
    return pipes


def _is_so(process: psutil.Process, condition: Callable[[psutil.Process], bool]) -> bool:
    try:
        return condition(process)
    except psutil.Error:
        return True  # gone


def _signal(process: psutil.Process, signum: signal.Signals) -> None:
    with suppress(psutil.Error):
        process.send_signal(signum)


def _has_gone(process: psutil.Process) -> bool:
    """Whether nothing is left of it; takes the exit status of one that has ended, where this is its parent now."""
    if process.is_running():
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    return not process.is_running()
