"""Scripts for stubs whose answers never end, come too fast or say too much."""

import socket

from tests.harness.http_client import reset
from tests.harness.stubs import Script, StubPredictor, encoded
from tests.harness.waiting import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
OK_CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BLOCK_BYTES = 64 * 1024
DRIP_PERIOD_S = 1.0


def drips(raw: bytes, period_s: float = DRIP_PERIOD_S, at_once: bytes = b"") -> Script:
    """Sends `at_once`, then these bytes one at a time, a period apart, then closes."""

    def script(stub: StubPredictor, connection: socket.socket) -> None:
        connection.sendall(at_once)
        for byte in raw:
            connection.sendall(bytes([byte]))
            if stub.closing.wait(period_s):
                break
        connection.shutdown(socket.SHUT_RDWR)

    return script


def floods(start: bytes, again: bytes) -> Script:
    """Sends `start`, then `again` as fast as it is taken, until the router closes."""
    block = again * (BLOCK_BYTES // len(again) + 1)

    def script(stub: StubPredictor, connection: socket.socket) -> None:
        connection.sendall(start)
        while not stub.closing.is_set():
            connection.sendall(block)

    return script


def silent(_: StubPredictor, connection: socket.socket) -> None:
    """Gives no answer until the router closes."""
    connection.recv(1)


def resets_after(raw: bytes) -> Script:
    """Sends these bytes, lets them arrive, then resets the connection."""

    def script(stub: StubPredictor, connection: socket.socket) -> None:
        connection.sendall(raw)
        stub.closing.wait(0.05)
        reset(connection)

    return script


class Adds:
    """A script: gives a whole answer and, after a pause, bytes that nobody asked for; the connection stays open."""

    def __init__(self, extra: bytes, pause_s: float) -> None:
        self.added = 0
        self._extra, self._pause_s = extra, pause_s

    def wait_for(self, number: int) -> None:
        """Waits until bytes have been added this often."""
        wait_until(lambda: self.added == number)

    def __call__(self, stub: StubPredictor, connection: socket.socket) -> None:
        """Answers one request."""
        answer = encoded(200, stub.own_answer)
        if self._pause_s:
            connection.sendall(answer)
            stub.closing.wait(self._pause_s)
            connection.sendall(self._extra)
        else:
            connection.sendall(answer + self._extra)
        self.added += 1
