"""Free ports for what an experiment starts, of which no other experiment on this machine is given the same."""

import errno
import random
import socket
import threading
from contextlib import suppress

from cli import CommandError

PORTS = range(20000, 32000)
"""Below the ports that Linux and macOS give to outgoing connections, which a swarm uses by the hundred."""

BLOCK = 100
"""An experiment claims so many neighbours at once, and more when they are used up."""

_choosing = threading.Lock()
_left: list[int] = []


def free_ports(count: int) -> list[int]:
    """Returns so many different ports that no socket of this machine has just now; none is given out twice.

    Raises CommandError where there are no more.
    """
    found: list[int] = []
    with _choosing:
        while len(found) < count:
            if not _left:
                _left.extend(_claim_block())
            port = _left.pop()
            with socket.socket() as sock, suppress(OSError):
                sock.bind(("", port))
                found.append(port)
    return found


def _claim_block() -> list[int]:
    """Claims a block that nobody has, this process least of all; returns its ports in any order.

    The claim is a UDP socket on the block's first port: servers bind to TCP ports alone.
    """
    for first in random.sample(PORTS[::BLOCK], len(PORTS[::BLOCK])):
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", first))
        except OSError as error:
            claim.close()
            if error.errno != errno.EADDRINUSE:
                raise CommandError(f"no ports can be reserved: {error.strerror}") from error
            continue
        claim.detach()  # open until this process ends
        return random.sample(range(first, first + BLOCK), BLOCK)
    raise CommandError(f"no free ports from {PORTS.start} to {PORTS.stop - 1}: other experiments have them")
