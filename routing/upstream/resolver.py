"""Where a predictor is: its host's addresses, looked up in threads of their own and remembered while they work."""

import socket
from contextlib import suppress
from functools import cache
from typing import Any

import gevent
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

from routing.upstream.errors import NoConnection

MAX_LOOKUPS = 16

Address = tuple[int, Any]
"""An address family, and an address as `connect` takes it."""

_getaddrinfo = get_original("socket", "getaddrinfo")


@cache
def _lookup_threads() -> ThreadPool:
    """Returns threads for names alone: one that hangs must not hold up the threads that write files."""
    return ThreadPool(MAX_LOOKUPS)


class Resolver:
    """One host's addresses: known at once for an IP address, looked up for a name and remembered while they work."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._addresses: list[Address] = []
        self._lookup: Any = None
        with suppress(socket.gaierror):
            self._addresses = _addresses_in(_getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST))
        self.is_name = not self._addresses
        """Whether the host is a name, not an address."""

    @property
    def first(self) -> str | None:
        """The IP address where it was reached last; None where nobody answered where the name led."""
        return str(self._addresses[0][1][0]) if self._addresses else None

    def addresses(self) -> list[Address]:
        """Returns the addresses; raises NoConnection where the name cannot be looked up in time."""
        if self._addresses:
            return self._addresses
        if self._lookup is None:  # one at a time, however many requests wait for it
            self._lookup = _lookup_threads().spawn(_found, self._host, self._port)
        lookup = self._lookup
        try:
            found = lookup.get(timeout=self._timeout_s)
        except gevent.Timeout:
            raise NoConnection(f"{self._host} was not looked up within {self._timeout_s:g} s") from None
        finally:
            if lookup.ready() and self._lookup is lookup:
                self._lookup = None
        if isinstance(found, Exception):
            raise NoConnection(f"{self._host} cannot be looked up: {found}") from found
        self._addresses = _addresses_in(found)
        return self._addresses

    def prefer(self, address: Address) -> None:
        """Puts this one, which was reached, first from now on."""
        if self._addresses[:1] != [address]:
            self._addresses = [address, *(other for other in self._addresses if other != address)]

    def forget(self) -> None:
        """Has a name looked up again next time: nobody answers where it pointed."""
        if self.is_name:
            self._addresses = []


def _found(host: str, port: int) -> list[tuple[Any, ...]] | OSError | UnicodeError:
    """Looks a name up; the error is returned, for the thread that raises one prints a traceback."""
    try:
        return _getaddrinfo(host, port, 0, socket.SOCK_STREAM)  # type: ignore[no-any-return]
    except (OSError, UnicodeError) as error:
        return error


def _addresses_in(found: list[tuple[Any, ...]]) -> list[Address]:
    return [(family, address) for family, _, _, _, address in found]
