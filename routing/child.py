"""A router as its supervisor's child: how it is started, and how far it has come. The standard library alone."""

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import IO

from routing.supervision import CHANNEL, LIFE, STDERR
from serving.sockets import FIRST_DESCRIPTOR

RESERVED = 10
"""Descriptors below this are a child's own: the supervisor has nothing there that one could overwrite."""


class Stage(Enum):
    """How far a router has come."""

    STARTING = auto()
    WAITING = auto()
    """It has loaded and checked all, and holds nothing."""
    OPENING = auto()
    """It was told to serve."""
    SERVING = auto()
    LEAVING = auto()
    """It was told to leave to another, and ends what it has in flight."""


@dataclass(eq=False)
class Child:
    """A router's process."""

    pid: int
    channel: socket.socket
    generation: int
    errors: IO[bytes] | None
    """What it says on stderr until it waits; None: that goes to the supervisor's own."""
    stage: Stage = Stage.STARTING
    turn_s: float = 0.0
    """When it was told to serve."""

    @classmethod
    def start(cls, inherited: Sequence[int], generation: int, capture: bool) -> "Child":
        """Starts this very command as a router, with these descriptors: public, admin, life.

        `capture` keeps what it says on stderr until it waits.
        """
        public, admin, life = inherited
        own, its = socket.socketpair()
        with ExitStack() as copies, ExitStack() as on_failure, its:
            on_failure.enter_context(own)
            errors = on_failure.enter_context(_file_without_name()) if capture else None
            channel, stderr = (copy_out_of_the_way(each) for each in (its.fileno(), 2))
            copies.callback(os.close, channel)
            copies.callback(os.close, stderr)
            pid = os.fork()
            if pid == 0:
                captured = [] if errors is None else [errors.fileno(), stderr]
                _become_router([public, admin, channel, life], *captured)
            on_failure.pop_all()
        with suppress(OSError):  # it does the same: whoever comes first
            os.setpgid(pid, pid)
        return cls(pid, own, generation, errors)

    def signal(self, signum: signal.Signals) -> None:
        """Sends the signal; to its whole group, where it is to kill."""
        with suppress(ProcessLookupError):
            (os.killpg if signum is signal.SIGKILL else os.kill)(self.pid, signum)

    def take_turn(self) -> None:
        """Notes that it is told to serve now."""
        self.stage, self.turn_s = Stage.OPENING, time.monotonic()

    def captured(self) -> str:
        """Returns what it has said on stderr until it waited."""
        if self.errors is None:
            return ""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def close(self) -> None:
        """Lets go of all that belongs to it."""
        self.channel.close()
        if self.errors is not None:
            self.errors.close()


def out_of_the_way(descriptor: int) -> int:
    """Moves a descriptor to a number that no child expects anything at."""
    high = copy_out_of_the_way(descriptor)
    os.close(descriptor)
    return high


def copy_out_of_the_way(descriptor: int) -> int:
    """Copies it there; children inherit neither."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, RESERVED)


def _file_without_name() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("errors"), "w+b")
    import tempfile  # where it is not needed it would be a tenth of the supervisor's memory

    return tempfile.TemporaryFile()


def _become_router(descriptors: Sequence[int], errors: int = 2, stderr: int | None = None) -> None:
    """Puts descriptors where a router expects them, and runs it in this process; it talks to `errors` at first."""
    try:
        os.setpgid(0, 0)  # the terminal's Ctrl-C is the supervisor's
        os.dup2(errors, 2)
        expected = [*descriptors, *([] if stderr is None else [stderr])]
        for target, descriptor in enumerate(expected, start=FIRST_DESCRIPTOR):
            os.dup2(descriptor, target)
        names = (CHANNEL, LIFE, STDERR)[: len(expected) - 2]
        told = {name: str(FIRST_DESCRIPTOR + 2 + number) for number, name in enumerate(names)}
        sockets = {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "public:admin"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **sockets, **told})  # noqa: S606
    except OSError as error:
        print(error, file=sys.stderr, flush=True)
    finally:
        os._exit(1)
