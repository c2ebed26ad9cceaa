"""Many raw clients at once, which drip what they send or never read to the end."""

import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field

from tests.harness.http_client import connect
from tests.harness.waiting import Background

DRIP_PERIOD_S = 1.0


@dataclass(eq=False)
class RawClient:
    """One raw connection: what is sent at once, what drips after it, what came back and when; monotonic seconds."""

    at_once: bytes
    dripped: bytes = b""
    connection: socket.socket = field(init=False)
    received: bytes = b""
    started_at_s: float = 0.0
    answered_at_s: float = 0.0
    ended_at_s: float = 0.0

    @property
    def status(self) -> int:
        """The answer's status; 0 if none came."""
        words = self.received.split(b" ", 2)
        return int(words[1]) if len(words) > 1 else 0

    @property
    def took_s(self) -> float:
        """From the first byte sent to the first byte received."""
        return self.answered_at_s - self.started_at_s

    @property
    def lasted_s(self) -> float:
        """From the first byte sent to the end of the connection by the other side."""
        return self.ended_at_s - self.started_at_s


class RawClients(Background):
    """Raw clients in one thread, which drip a byte a second and read until the other side closes."""

    def __init__(self, url: str, clients: list[RawClient]) -> None:
        """Connects all, then sends what each sends at once."""
        super().__init__()
        self.clients = clients
        self._selector = selectors.DefaultSelector()
        for client in clients:
            client.connection = connect(url)
            self._selector.register(client.connection, selectors.EVENT_READ, client)
        for client in clients:
            client.started_at_s = time.monotonic()
            client.connection.sendall(client.at_once)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for client in self.clients:
            client.connection.close()
        self._selector.close()

    @property
    def ended(self) -> int:
        """How many connections the other side has closed."""
        return sum(client.ended_at_s > 0 for client in self.clients)

    def _work(self) -> None:
        due_s = time.monotonic() + DRIP_PERIOD_S
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.02):
                self._receive(key.data)
            if time.monotonic() >= due_s:
                due_s += DRIP_PERIOD_S
                self._drip()

    def _receive(self, client: RawClient) -> None:
        data = b""
        with suppress(OSError):
            data = client.connection.recv(65536)
        now_s = time.monotonic()
        client.received += data
        client.answered_at_s = client.answered_at_s or (now_s if data else 0.0)
        if not data:
            client.ended_at_s = now_s
            self._selector.unregister(client.connection)

    def _drip(self) -> None:
        for client in self.clients:
            if client.dripped and not client.ended_at_s:
                with suppress(OSError):
                    client.connection.send(client.dripped[:1])
                client.dripped = client.dripped[1:]
