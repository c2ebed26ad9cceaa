"""The connections to one predictor: opening one, and keeping idle ones. Nothing of HTTP here."""

import errno
import select
import socket
import time
from typing import Any

import gevent.socket
from gevent.monkey import get_original

from routing.topology import Entry
from routing.upstream.errors import ConnectionRefused, NoConnection, OutOfSockets, UpstreamError
from routing.upstream.resolver import Resolver

CONNECT_TIMEOUT_S = 0.5
REUSE_WITHIN_S = 1.0
"""A connection idle for longer is not used again: its predictor may be closing it just now (some do after 2 s)."""

_poll = get_original("select", "poll")  # it is asked, and never waits

OWN_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)


class ConnectionPool:
    """Opens connections to one predictor, and keeps those that can carry another request."""

    def __init__(self, entry: Entry) -> None:
        self.resolver = Resolver(entry.host, entry.port, CONNECT_TIMEOUT_S)
        self._max_idle = entry.capacity
        self._idle: list[tuple[float, gevent.socket.socket]] = []  # since when; the latest last
        self._closed = False

    def acquire(self) -> gevent.socket.socket:
        """Returns the connection released last that is still reusable, else a new one; raises UpstreamError."""
        while self._idle:
            since_s, connection = self._idle.pop()
            if time.monotonic() - since_s < REUSE_WITHIN_S and _is_reusable(connection):
                return connection
            connection.close()
        return self.open()

    def release(self, connection: gevent.socket.socket) -> None:
        """Keeps a connection whose response was read to its end, for the next request."""
        if self._closed or len(self._idle) >= self._max_idle:
            connection.close()
        else:
            self._idle.append((time.monotonic(), connection))

    def open(self) -> gevent.socket.socket:
        """Connects, within CONNECT_TIMEOUT_S in all; raises ConnectionRefused, NoConnection or OutOfSockets."""
        failure: UpstreamError = NoConnection("the host has no address")
        addresses = self.resolver.addresses()
        for address in addresses:
            try:
                connection = _connected(*address, CONNECT_TIMEOUT_S / len(addresses))
            except OSError as error:
                failure = _translated(error)
            except BaseException:  # the caller's own time is up
                self.resolver.forget()
                raise
            else:
                self.resolver.prefer(address)
                return connection
        self.resolver.forget()
        raise failure

    def close_idle(self, older_than_s: float) -> None:
        """Closes the connections that nobody has used for so long."""
        oldest_s = time.monotonic() - older_than_s
        while self._idle and self._idle[0][0] < oldest_s:
            self._idle.pop(0)[1].close()

    def close(self) -> None:
        """Closes the idle connections; those in use close after their response."""
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


def _is_reusable(connection: gevent.socket.socket) -> bool:
    """Whether nothing has arrived on an idle connection: neither its end nor bytes that nobody asked for."""
    arrived = _poll()
    arrived.register(connection, select.POLLIN)
    return not arrived.poll(0)


def _translated(error: OSError) -> UpstreamError:
    """Names the failure mode once, so that nobody else looks into the system's errors."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return NoConnection(f"no connection within {CONNECT_TIMEOUT_S:g} s")
    if error.errno == errno.ECONNREFUSED:
        return ConnectionRefused("connection refused")
    if error.errno in OWN_LIMITS:
        return OutOfSockets(f"the router cannot open a connection: {error}")
    return NoConnection(f"no connection: {error}")
