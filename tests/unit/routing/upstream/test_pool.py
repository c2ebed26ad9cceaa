"""Connections to one predictor: kept ones that have gone bad, names that cannot be looked up. Local sockets only."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from routing.topology import Entry, Role
from routing.upstream import pool as connection_pool
from routing.upstream import resolver
from routing.upstream.errors import ConnectionRefused, NoConnection
from routing.upstream.pool import ConnectionPool


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody who accepts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def to(port: int, host: str = "127.0.0.1") -> ConnectionPool:
    """The connections to a predictor there."""
    return ConnectionPool(Entry("a", host, port, capacity=2, role=Role.ACTIVE))


def port_of(listener: socket.socket) -> int:
    """Where it listens."""
    port: int = listener.getsockname()[1]
    return port


def test_acquire_kept_connection_is_used_again(listener: socket.socket) -> None:
    """A quiet connection carries the next request."""
    pool = to(port_of(listener))
    first = pool.acquire()
    pool.release(first)
    assert pool.acquire() is first
    first.close()


@pytest.mark.parametrize("said", [b"", b"late"])
def test_acquire_kept_connection_that_is_not_quiet_is_thrown_away(listener: socket.socket, said: bytes) -> None:
    """One that the predictor has ended, or on which bytes came unasked, carries nothing more; a new one does."""
    pool = to(port_of(listener))
    kept = pool.acquire()
    accepted, _ = listener.accept()
    accepted.sendall(said)
    if not said:
        accepted.close()
    gevent.sleep(0.01)
    pool.release(kept)
    fresh = pool.acquire()
    assert fresh is not kept
    assert kept.fileno() == -1
    fresh.close()
    accepted.close()


def test_acquire_connection_that_was_idle_for_long_is_not_used_again(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its predictor may be closing it while the request is on its way, which nobody else might be there to answer."""
    pool = to(port_of(listener))
    kept = pool.acquire()
    pool.release(kept)
    monkeypatch.setattr(connection_pool, "REUSE_WITHIN_S", 0.0)
    fresh = pool.acquire()
    assert (fresh is kept, kept.fileno()) == (False, -1)
    fresh.close()


def test_release_after_close_or_beyond_capacity_closes(listener: socket.socket) -> None:
    """No more connections are kept than can be of use, and none once the topology is gone."""
    pool = to(port_of(listener))
    several = [pool.open() for _ in range(4)]
    for one in several[:3]:
        pool.release(one)
    assert [one.fileno() == -1 for one in several] == [False, False, True, False]
    pool.close()
    pool.release(several[3])
    assert all(one.fileno() == -1 for one in several)


def test_open_nobody_listens_is_refused() -> None:
    """A closed port is told from a host that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = port_of(listener)
    with pytest.raises(ConnectionRefused):
        to(port).open()


class Names:
    """The look-up of names: what it finds, or raises, and which names were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.find: Callable[[], list[Any]] = list

    def lookup(self, host: str, *rest: Any) -> list[Any]:
        """Stands in for socket.getaddrinfo."""
        if socket.AI_NUMERICHOST in rest[3:]:
            raise socket.gaierror
        self.asked.append(host)
        return self.find()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Names that a test decides about."""
    names = Names()
    monkeypatch.setattr(resolver, "_getaddrinfo", names.lookup)
    return names


def at(host: str, port: int) -> tuple[Any, ...]:
    """An address as a look-up finds it."""
    return socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port)


def unknown() -> list[Any]:
    """A name that nobody knows."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_open_by_name_looks_up_once(listener: socket.socket, names: Names) -> None:
    """A name is looked up for the first connection, and remembered."""
    names.find = lambda: [at("127.0.0.1", port_of(listener))]
    pool = to(port_of(listener), "some.name")
    for one in [pool.open(), pool.open()]:
        one.close()
    assert names.asked == ["some.name"]


def test_open_by_name_that_hangs_is_given_up_in_time_with_one_thread(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many requests wait for a name, one look-up is under way; each is told after the connect timeout."""
    done = threading.Event()
    names.find = lambda: unknown() if done.wait(5) else []
    monkeypatch.setattr(connection_pool, "CONNECT_TIMEOUT_S", 0.05)
    pool = to(1, "some.name")
    began_s = time.monotonic()
    opening = [gevent.spawn(pool.open) for _ in range(100)]  # one after the other they would take 5 s
    gevent.joinall(opening)
    assert all(isinstance(one.exception, NoConnection) for one in opening)
    assert time.monotonic() - began_s < 2.5
    assert names.asked == ["some.name"]
    done.set()


def test_open_by_name_that_leads_nowhere_is_looked_up_again(
    listener: socket.socket, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the caller, a health check, gives up before the connection does: the name may lead elsewhere now."""
    connected = connection_pool._connected

    def black_hole(family: int, address: Any, timeout_s: float) -> Any:
        if address[0] == "192.0.2.1":
            raise gevent.Timeout  # the caller's time is up, wherever the connection stands
        return connected(family, address, timeout_s)

    monkeypatch.setattr(connection_pool, "_connected", black_hole)
    names.find = lambda: [at("192.0.2.1", 80)]
    pool = to(port_of(listener), "some.name")
    with pytest.raises(gevent.Timeout):
        pool.open()
    names.find = lambda: [at("127.0.0.1", port_of(listener))]
    pool.open().close()
    assert pool.resolver.first == "127.0.0.1"


def test_open_by_name_with_two_addresses_divides_the_time_and_keeps_to_the_one_that_answers(
    listener: socket.socket, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead address costs half of the time, once."""
    hosts = ["192.0.2.1", "127.0.0.1"]
    names.find = lambda: [at(host, port_of(listener)) for host in hosts]
    tried: list[tuple[str, float]] = []
    connected = connection_pool._connected

    def dead_or_alive(family: int, address: Any, timeout_s: float) -> Any:
        tried.append((address[0], timeout_s))
        if address[0] == hosts[0]:
            raise TimeoutError
        return connected(family, address, timeout_s)

    monkeypatch.setattr(connection_pool, "_connected", dead_or_alive)
    pool = to(port_of(listener), "some.name")
    for _ in range(2):
        pool.open().close()
    half_s = connection_pool.CONNECT_TIMEOUT_S / 2
    assert tried == [(hosts[0], half_s), (hosts[1], half_s), (hosts[1], half_s)]


def test_open_by_an_unknown_name_says_so_without_a_traceback(names: Names, capfd: pytest.CaptureFixture[str]) -> None:
    """A name that nobody knows is one exception, and nothing on the terminal, though it is looked up twice a second."""
    names.find = unknown
    for _ in range(2):
        with pytest.raises(NoConnection, match="cannot be looked up"):
            to(1, "unknown.test").open()
    assert capfd.readouterr().err == ""
