"""The sockets that a program serves on: bound by itself, or inherited by systemd's protocol (sd_listen_fds(3)).

Imports the standard library and `cli` alone, so that a program can listen before it has loaded its libraries.
"""

import errno
import os
import socket
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from cli import UsageError

FIRST_DESCRIPTOR = 3
"""Where inherited sockets begin."""

BACKLOG = 2048


class Listener(NamedTuple):
    """An address (port 0: any free one) and its WSGI application; where that is None, another process accepts there."""

    host: str
    port: int
    app: Callable[..., Any] | None
    title: str = ""
    """What its users know it by, where there are several."""
    option: str = "--port"
    """The command line's option for the port."""
    bound: socket.socket | None = None
    """Its socket, where that is there already (`bind`)."""


def bind(listener: Listener) -> socket.socket:
    """Listens on the address; raises UsageError where that cannot be."""
    where = f"port {listener.port} on {listener.host}"
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        sock = socket.create_server((listener.host, listener.port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            remedy = f"stop the program that holds it, or choose another port with {listener.option}"
            raise UsageError(f"{where} is busy: {remedy}") from error
        raise UsageError(f"{where} cannot be bound: {_reason(error)}; give an address of this machine") from error
    return _without_delay(sock)


def _reason(error: OSError | UnicodeError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else "no such host name"  # name look-ups fail below 0


def _without_delay(sock: socket.socket) -> socket.socket:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted connections inherit it
    return sock


def inherited(
    listeners: Sequence[tuple[str, Listener]], environment: MutableMapping[str, str] = os.environ
) -> list[socket.socket]:
    """Returns the sockets that this process was started with for these named listeners; empty: it was given none.

    They are told apart by LISTEN_FDNAMES; where all have one name there, or none, they come in the order of
    `listeners`. What tells of them is removed from the environment. Raises UsageError for any other ones.
    """
    count, process, given = (environment.pop(f"LISTEN_{name}", "") for name in ("FDS", "PID", "FDNAMES"))
    if not count or process != str(os.getpid()):  # else they are meant for a process above this one
        return []
    names = [name for name, _ in listeners]
    found = given.split(":") if given else [""] * len(names)
    named = sorted(found) == sorted(names)
    if count != str(len(names)) or len(found) != len(names) or not (named or len({*found}) == 1):
        told = f"LISTEN_FDS={count} LISTEN_FDNAMES={given}"
        raise UsageError(f"{told}: give {len(names)} sockets, named {' and '.join(names)} or in that order")
    order = [found.index(name) for name in names] if named else range(len(names))
    return [_listening(FIRST_DESCRIPTOR + place, each) for place, each in zip(order, listeners, strict=True)]


def _listening(descriptor: int, named: tuple[str, Listener]) -> socket.socket:
    name, listener = named
    with suppress(OSError):
        sock = socket.socket(fileno=descriptor)
        sock.set_inheritable(False)
        tcp = sock.type == socket.SOCK_STREAM and sock.family in (socket.AF_INET, socket.AF_INET6)
        if tcp and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return _without_delay(sock)
    raise UsageError(f"descriptor {descriptor} (the {listener.title}, {name}) is no listening TCP socket: give it one")


def require_address(sock: socket.socket, host: str | None, port: int | None, option: str) -> None:
    """Refuses an inherited socket that is not at the host and port that the command line names (None: any)."""
    at_host, at_port = sock.getsockname()[:2]
    remedy = "leave the option out, or have it give that one"
    if port not in (None, 0, at_port):
        raise UsageError(f"{option} {port}: the socket that this process was given is at port {at_port}: {remedy}")
    if host is not None and at_host not in _addresses(host):
        raise UsageError(f"--host {host}: the socket that this process was given is at {at_host}: {remedy}")


def _addresses(host: str) -> set[str]:
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


def require_loopback(sock: socket.socket, title: str) -> None:
    """Refuses an inherited socket that other machines could reach."""
    host = sock.getsockname()[0]
    if not host.startswith("127.") and host != "::1":
        raise UsageError(f"the socket given for the {title} is at {host}, which others can reach: give 127.0.0.1")


def url(sock: socket.socket) -> str:
    """Returns the address as people and programs type it."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
