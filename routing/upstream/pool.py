"""The connections to one predictor: finding where it is, opening one, keeping idle ones. Nothing of HTTP here."""

import errno
import socket
import time
from contextlib import suppress
from functools import cache
from typing import Any

import gevent.socket
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

from routing.topology import Entry
from routing.upstream.errors import ConnectionRefused, ForwardingError, NoConnection, NoDescriptor

CONNECT_TIMEOUT_S = 0.5
REUSE_WITHIN_S = 1.0
"""A connection idle for longer is not used again: its predictor may be closing it just now (some do after 2 s)."""

LOOKUPS_AT_ONCE = 16
OWN_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)

Address = tuple[int, Any]
"""An address family, and an address as `connect` takes it."""

_getaddrinfo = get_original("socket", "getaddrinfo")


@cache
def _lookup_threads() -> ThreadPool:
    """Return threads for names alone: one that hangs must not hold up the threads that write files."""
    return ThreadPool(LOOKUPS_AT_ONCE)


class _Whereabouts:
    """A predictor's addresses: known at once for an IP address, looked up for a name and remembered while they work."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._addresses: list[Address] = []
        self._under_way: Any = None
        with suppress(socket.gaierror):
            self._addresses = _addresses_in(_getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST))
        self.is_name = not self._addresses

    def addresses(self) -> list[Address]:
        """Return the addresses; raises NoConnection where the name cannot be looked up in time."""
        if self._addresses:
            return self._addresses
        if self._under_way is None:  # one at a time, however many requests wait for it
            self._under_way = _lookup_threads().spawn(_looked_up, self._host, self._port)
        under_way = self._under_way
        try:
            found = under_way.get(timeout=CONNECT_TIMEOUT_S)
        except gevent.Timeout:
            raise NoConnection(f"{self._host} was not looked up within {CONNECT_TIMEOUT_S:g} s") from None
        finally:
            if under_way.ready() and self._under_way is under_way:
                self._under_way = None
        if isinstance(found, Exception):
            raise NoConnection(f"{self._host} cannot be looked up: {found}") from found
        self._addresses = _addresses_in(found)
        return self._addresses

    def first(self) -> str | None:
        """Return the address that is tried first; None where the name is to be looked up."""
        return str(self._addresses[0][1][0]) if self._addresses else None

    def reached(self, address: Address) -> None:
        """Try this one first from now on."""
        if self._addresses[:1] != [address]:
            self._addresses = [address, *(other for other in self._addresses if other != address)]

    def forget(self) -> None:
        """Look a name up again next time: nobody answers where it pointed."""
        if self.is_name:
            self._addresses = []


def _looked_up(host: str, port: int) -> list[tuple[Any, ...]] | OSError | UnicodeError:
    """Look a name up; the error is returned, for the thread that raises one prints a traceback."""
    try:
        return _getaddrinfo(host, port, 0, socket.SOCK_STREAM)  # type: ignore[no-any-return]
    except (OSError, UnicodeError) as error:
        return error


def _addresses_in(found: list[tuple[Any, ...]]) -> list[Address]:
    return [(family, address) for family, _, _, _, address in found]


class Connections:
    """Opens connections to one predictor, and keeps those that can carry another request."""

    def __init__(self, entry: Entry) -> None:
        self._most_kept = entry.capacity
        self._whereabouts = _Whereabouts(entry.host, entry.port)
        self._idle: list[tuple[float, gevent.socket.socket]] = []  # since when; the latest last
        self._closed = False

    @property
    def has_host_name(self) -> bool:
        """Whether the host is a name, not an address."""
        return self._whereabouts.is_name

    @property
    def address(self) -> str | None:
        """The IP address that is tried first; None where it is to be looked up."""
        return self._whereabouts.first()

    def take(self) -> gevent.socket.socket:
        """Return the connection kept last that is still sound, else a new one; raises ForwardingError."""
        while self._idle:
            since_s, connection = self._idle.pop()
            if time.monotonic() - since_s < REUSE_WITHIN_S and _is_quiet(connection):
                return connection
            connection.close()
        return self.open()

    def keep(self, connection: gevent.socket.socket) -> None:
        """Keep a connection whose answer was read to its end, for the next request."""
        if self._closed or len(self._idle) >= self._most_kept:
            connection.close()
        else:
            self._idle.append((time.monotonic(), connection))

    def open(self) -> gevent.socket.socket:
        """Connect, within CONNECT_TIMEOUT_S in all; raises ConnectionRefused, NoConnection or NoDescriptor."""
        failure: ForwardingError = NoConnection("the host has no address")
        addresses = self._whereabouts.addresses()
        for address in addresses:
            try:
                connection = _connected(*address, CONNECT_TIMEOUT_S / len(addresses))
            except OSError as error:
                failure = _translated(error)
            except BaseException:  # the caller's own time is up
                self._whereabouts.forget()
                raise
            else:
                self._whereabouts.reached(address)
                return connection
        self._whereabouts.forget()
        raise failure

    def close(self) -> None:
        """Close the idle connections; those in use close after their answer."""
        self._closed = True
        while self._idle:
            self._idle.pop()[1].close()


def _connected(family: int, address: Any, timeout_s: float) -> gevent.socket.socket:
    connection = gevent.socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(address)
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_quiet(connection: gevent.socket.socket) -> bool:
    """Whether nothing has arrived on an idle connection: neither its end nor bytes that nobody asked for."""
    connection.settimeout(0.0)
    try:
        connection.recv(1)
    except BlockingIOError:
        connection.settimeout(None)
        return True
    except OSError:
        return False
    return False


def _translated(error: OSError) -> ForwardingError:
    """Name the failure mode once, so that nobody else looks into the system's errors."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return NoConnection(f"no connection within {CONNECT_TIMEOUT_S:g} s")
    if error.errno == errno.ECONNREFUSED:
        return ConnectionRefused("connection refused")
    if error.errno in OWN_LIMITS:
        return NoDescriptor(f"the router cannot open a connection: {error}")
    return NoConnection(f"no connection: {error}")
