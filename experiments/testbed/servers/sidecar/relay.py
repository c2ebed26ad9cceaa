"""One client's connection and the one to the server behind it: bytes, ends and resets go over as they come."""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from experiments.testbed.servers.sidecar.control import FaultSwitch
from experiments.testbed.servers.sidecar.framing import HalfAnswer, Head, Piece, RequestFraming

BODY = b'{"error": "a fault that was switched on for an experiment"}'
ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
"""What a failing prediction is answered with."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: what is unsent is dropped, and the other side gets a reset."""


@dataclass
class Route:
    """Where connections go, what is a prediction there, and the connections that there are."""

    host: str
    port: int
    path: str
    health: str | None
    """GET of it is a health check, even where predictions have the same path."""
    switch: FaultSwitch
    refused: Callable[[], object] = lambda: None
    """Called when the server has refused a connection."""
    relays: set["Relay"] = field(default_factory=set)
    ending: bool = False
    """Whether the server has ended: what it closes is closed for good."""

    def is_prediction(self, head: Head) -> bool:
        """Whether the fault applies to it."""
        if head.method == "GET" and head.target == self.health:
            return False
        return self.path in (head.target, head.target.partition("?")[0])

    def release_stalled(self) -> None:
        """Ends the predictions that a stall has kept, once it is over."""
        if not self.switch.fault.stalls:
            for relay in list(self.relays):
                relay.release_stalled()

    def end(self) -> None:
        """The server has ended: closes each connection once what it sent has been passed on."""
        self.ending = True
        for relay in list(self.relays):
            relay.close_if_over()


class Side(asyncio.Protocol):
    """One of the two connections."""

    def __init__(self, relay: "Relay", read: Callable[[bytes], None], read_end: Callable[[], None]) -> None:
        self._relay, self._read, self._read_end = relay, read, read_end
        self._transport: asyncio.Transport | None = None
        self._holds: set[str] = set()
        self.has_ended = False
        """Whether nothing more comes from it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._relay.joined(self)
        if self._holds:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Hands over what came."""
        self._read(data)

    def eof_received(self) -> bool:
        """Hands over its end; the way back stays open."""
        self.has_ended = True
        self._read_end()
        self._relay.close_if_over()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Loses the other side too, by a reset where this was one."""
        self._relay.lost(self, by_reset=exc is not None)

    def pause_writing(self) -> None:
        """Has the other side read no more than this one takes."""
        self._relay.other(self).hold("full")

    def resume_writing(self) -> None:
        """Has it read on."""
        self._relay.other(self).release("full")

    def hold(self, why: str) -> None:
        """Reads nothing until each `why` has been released."""
        if not self._holds and self._transport is not None:
            self._transport.pause_reading()
        self._holds.add(why)

    def release(self, why: str) -> None:
        """Reads on, unless something else holds it."""
        self._holds.discard(why)
        if not self._holds and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Sends; a connection that is gone takes nothing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def write_end(self) -> None:
        """Sends that nothing more comes."""
        if self._transport is not None:
            self._transport.write_eof()

    def close(self) -> None:
        """Closes it once all that was written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Breaks it off."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                sock = self._transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._transport.abort()


class Relay:
    """The two connections, and what a fault does to the predictions that come by the first."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self.client = Side(self, self._from_client, self._client_ended)
        self._server = Side(self, self._from_server, self._server_ended)
        self._framing = RequestFraming()
        self._pieces: deque[Piece] = deque()
        """What the client has sent and the server has not been given."""
        self._answer = b""
        """What the server has answered and is kept back."""
        self._delay_s = 0.0
        """By how much the next answer comes later."""
        self._half: HalfAnswer | None = None
        """The answer that is to be cut off, while one is."""
        self._stalled = False
        self._unseen: Callable[[], None] | None = None
        """What ends a prediction that the server does not see, once it has come whole."""
        self.client.hold("connecting")

    def other(self, side: Side) -> Side:
        """Returns the side at the other end."""
        return self._server if side is self.client else self.client

    def joined(self, side: Side) -> None:
        """Connects to the server once the client has connected; then lets the bytes go."""
        if side is self.client:
            self._route.relays.add(self)
            self._connecting = asyncio.create_task(self._connect())
        else:
            self.client.release("connecting")

    def lost(self, side: Side, *, by_reset: bool) -> None:
        """Ends the other connection as this one ended."""
        self._connecting.cancel()
        self._route.relays.discard(self)
        other = self.other(side)
        if by_reset:
            other.reset()
        else:
            other.close()

    def release_stalled(self) -> None:
        """Answers 500 to the prediction that was kept, as where a server is started again, and goes on."""
        if self._stalled:
            self._stalled, self._unseen = False, self._fail
            self._pass_on()
            self.client.release("stall")

    def close_if_over(self) -> None:
        """Closes both once neither sends any more, or the server has ended and all it sent is passed on."""
        server_is_done = self._server.has_ended and not self._answer
        if server_is_done and (self.client.has_ended or self._route.ending):
            self.client.close()
            self._server.close()

    async def _connect(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self._server, self._route.host, self._route.port)
        except OSError:
            self._route.refused()
            self.client.reset()

    def _from_client(self, data: bytes) -> None:
        self._pieces += self._framing.feed(data)
        self._pass_on()

    def _pass_on(self) -> None:
        while self._pieces and not self._stalled:
            piece = self._pieces.popleft()
            if piece.head is not None and self._route.is_prediction(piece.head):
                self._strike(piece)
            if self._stalled:
                return
            if self._unseen is None:
                self._server.write(piece.data)
            elif piece.ends:
                end, self._unseen = self._unseen, None
                end()

    def _strike(self, piece: Piece) -> None:
        """Does to a prediction what the fault does, if there is one."""
        fault = self._route.switch.strike()
        if fault.stalls:
            self._stalled = True
            self._pieces.appendleft(piece._replace(head=None))
            self.client.hold("stall")
        elif fault.resets:
            self._unseen = self._reset
        elif fault.fails:
            self._unseen = self._fail
        elif fault.truncates and piece.head is not None and piece.head.method != "HEAD":  # which has no body to cut
            self._half = HalfAnswer()
        else:
            self._delay_s = fault.added_s

    def _fail(self) -> None:
        self.client.write(ERROR)

    def _reset(self) -> None:
        self._pieces.clear()
        self.client.reset()

    def _client_ended(self) -> None:
        self._server.write(self._framing.rest())
        self._server.write_end()

    def _from_server(self, data: bytes) -> None:
        if self._half is not None:
            self._pass_on_half(self._half, self._half.feed(data))
            return
        if not self._delay_s:
            self.client.write(data)
            return
        self._answer = data
        self._server.hold("slow")
        asyncio.get_running_loop().call_later(self._delay_s, self._deliver)
        self._delay_s = 0.0

    def _pass_on_half(self, half: HalfAnswer, data: bytes) -> None:
        self.client.write(data)
        if half.is_over:
            self._half = None
        if half.is_cut:
            end = self.client.reset if half.by_reset else self.client.close
            end()
            self._server.close()

    def _deliver(self) -> None:
        answer, self._answer = self._answer, b""
        self.client.write(answer)
        self._server.release("slow")
        self.close_if_over()

    def _server_ended(self) -> None:
        if self._half is not None:
            self._pass_on_half(self._half, self._half.end())
        self.client.write_end()
