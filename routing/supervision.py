"""What a supervisor and its routers share: how a router is started, and the words that they exchange.

Imports the standard library alone. What a word has done: supervisor.py on one side, succession.py on the other.
"""

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import NamedTuple

CHANNEL = "ROUTER_CHANNEL"
LIFE = "ROUTER_LIFE"
STDERR = "ROUTER_STDERR"
"""The environment's variables that tell a supervised router its descriptors."""

WAITING, SERVING, LEFT = b"w", b"s", b"l"
"""A router's words: all is loaded and checked; requests are taken; they no longer are, and the file is free."""

GO, LEAVE = b"g", b"x"
"""The supervisor's words: serve; let the one after you serve. With a planned hand-over each gets an end of a pair."""


class Heard(NamedTuple):
    """A word, empty where the other side is dead, and a descriptor that came with it."""

    word: bytes
    descriptor: int | None


def say(channel: socket.socket, word: bytes, descriptor: int | None = None) -> None:
    """Says a word, to nobody if the other side is dead."""
    with suppress(OSError):
        socket.send_fds(channel, [word], [] if descriptor is None else [descriptor])


def hear(channel: socket.socket) -> Heard:
    """Waits for a word."""
    try:
        word, descriptors, *_ = socket.recv_fds(channel, 1, 1)
    except ConnectionError:
        return Heard(b"", None)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return Heard(word, descriptors[0] if descriptors else None)


class Supervision(NamedTuple):
    """A supervised router's side."""

    supervisor: int
    """Its process."""
    channel: socket.socket
    life: int
    """The read end of a pipe that ends with the supervisor, for what must not outlive it."""
    stderr: int | None
    """Where errors go once the router waits: a start that fails is told by the supervisor, in one line."""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> "Supervision | None":
        """Returns what this process was started with, and removes it from the environment; None: it runs alone."""
        channel, life, stderr = (environment.pop(name, None) for name in (CHANNEL, LIFE, STDERR))
        if channel is None or life is None:
            return None
        for descriptor in (channel, life, stderr):
            if descriptor is not None:
                os.set_inheritable(int(descriptor), False)
        errors = None if stderr is None else int(stderr)
        return cls(os.getppid(), socket.socket(fileno=int(channel)), int(life), errors)

    def wait_for_turn(self) -> Heard:
        """Tells that this router can serve, and waits until it is to."""
        if self.stderr is not None:
            os.dup2(self.stderr, 2)
            os.close(self.stderr)
        say(self.channel, WAITING)
        return hear(self.channel)
