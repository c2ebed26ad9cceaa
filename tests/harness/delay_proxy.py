"""A TCP proxy that delays what passes through it, ends of connections too: the latency that loopback lacks."""

import asyncio
import socket
from contextlib import suppress
from operator import methodcaller
from typing import cast
from urllib.parse import urlsplit

from tests.harness.waiting import Background

END_POLL_S = 0.02


class DelayProxy(Background):
    """Passes connections on to the server of a URL, bytes and ends `delay_s` seconds late each way; a context.

    A reset, or a server that refuses, is an end to the client.
    """

    def __init__(self, target_url: str, delay_s: float = 0.005) -> None:
        super().__init__()
        target = urlsplit(target_url)
        self._target = (str(target.hostname), target.port or 80)
        self._delay_s = delay_s
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        """Where clients reach the server through it."""

    def _work(self) -> None:
        with self._listener:
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        accepting = asyncio.create_task(self._accept())
        while not self._ended.is_set():
            await asyncio.sleep(END_POLL_S)
        accepting.cancel()
        with suppress(asyncio.CancelledError):
            await accepting

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        open_sides: set[_Side] = set()
        try:
            while True:
                client, _ = await loop.sock_accept(self._listener)
                client_side, server_side = _Side(self._delay_s, open_sides), _Side(self._delay_s, open_sides)
                client_side.other, server_side.other = server_side, client_side
                try:
                    await loop.create_connection(lambda side=server_side: side, *self._target)  # type: ignore[misc]
                except OSError:
                    client.close()
                else:
                    await loop.connect_accepted_socket(lambda side=client_side: side, client)  # type: ignore[misc]
        finally:
            for side in open_sides:
                side.transport.abort()


class _Side(asyncio.Protocol):
    """One side of a connection: what comes from it goes to the other side, late."""

    other: "_Side"
    transport: asyncio.Transport

    def __init__(self, delay_s: float, open_sides: "set[_Side]") -> None:
        self._delay_s = delay_s
        self._open_sides = open_sides

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._open_sides.add(self)

    def data_received(self, data: bytes) -> None:
        self._to_other("write", data)

    def eof_received(self) -> bool:
        self._to_other("write_eof")
        return True  # it may still be sent something

    def connection_lost(self, _: Exception | None) -> None:
        self._open_sides.discard(self)
        self._to_other("close")

    def _to_other(self, call: str, *arguments: bytes) -> None:
        act = methodcaller(call, *arguments)
        asyncio.get_running_loop().call_later(self._delay_s, lambda: act(self.other.transport))
