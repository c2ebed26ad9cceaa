"""Where requests begin and end in what a client sends; their bytes stay as they are. No I/O.

Always on, whether a fault is or not: a fault has to know the next request of a connection that was opened before it.
"""

import re
from typing import NamedTuple

MAX_HEAD_BYTES = 65_536
BLANK_LINE = re.compile(rb"\r?\n\r?\n")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S+) +HTTP/1\.[01]")
LENGTH = re.compile(rb"[0-9]{1,15}")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n", re.DOTALL)


class Head(NamedTuple):
    """What a request asks for."""

    method: str
    target: str


class Piece(NamedTuple):
    """Some bytes of one request."""

    data: bytes
    head: Head | None = None
    """Of the first piece of a request; None of the others, and of bytes that are no HTTP/1 request."""
    ends: bool = False
    """Whether the request ends with it."""


class RequestFraming:
    """Cuts the bytes of one connection into requests.

    What is not understood, or asks for another protocol, makes the rest of the connection opaque: passed on as it is.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        """Bytes of the body, or of the chunk, that are still to come."""
        self._chunked = self._in_trailers = self._is_opaque = False

    def feed(self, data: bytes) -> list[Piece]:
        """Returns what can be passed on now, in order: all but a head or a line that is not complete yet."""
        self._buffer += data
        pieces = []
        while self._buffer and (piece := self._next()) is not None:
            pieces.append(piece)
        return pieces

    def rest(self) -> bytes:
        """Returns what `feed` kept back, for a connection on which no more comes."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _next(self) -> Piece | None:
        if self._is_opaque:
            return Piece(self._take(len(self._buffer)))
        if self._left:
            return self._take_body()
        return self._take_line() if self._chunked else self._take_head()

    def _take(self, count: int) -> bytes:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _take_body(self) -> Piece:
        data = self._take(self._left)
        self._left -= len(data)
        return Piece(data, ends=not self._left and not self._chunked)

    def _take_line(self) -> Piece | None:
        """A chunk's size, which says how much comes then, or a line of the trailers, which end with an empty one."""
        line = self._take(self._buffer.find(b"\n") + 1)
        if not line:
            return None if len(self._buffer) <= MAX_HEAD_BYTES else self._opaque()
        if self._in_trailers:
            self._chunked = self._in_trailers = bool(line.strip(b"\r\n"))
            return Piece(line, ends=not self._chunked)
        size = CHUNK_SIZE.fullmatch(line)
        if size is None:
            self._buffer = line + self._buffer
            return self._opaque()
        count = int(size[1], 16)
        self._left = count + 2 if count else 0  # and the end of its line
        self._in_trailers = not count
        return Piece(line)

    def _take_head(self) -> Piece | None:
        end = BLANK_LINE.search(self._buffer)
        if end is None:
            return None if len(self._buffer) <= MAX_HEAD_BYTES else self._opaque()
        lines = self._buffer[: end.start()].lstrip(b"\r\n").split(b"\n")
        fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        request = REQUEST_LINE.fullmatch(lines[0].rstrip(b"\r"))
        if request is None or not self._begin_body(dict(fields[1:])):
            return self._opaque()
        head = Head(request[1].decode(), request[2].decode("latin-1"))
        return Piece(self._take(end.end()), head, ends=not self._left and not self._chunked)

    def _begin_body(self, fields: dict[bytes, bytes]) -> bool:
        """Notes how long the body is; returns whether that is known."""
        coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length", b"0")
        self._chunked = coding is not None and coding.lower() == b"chunked"
        if b"upgrade" in fields or (coding is not None and not self._chunked) or not LENGTH.fullmatch(length):
            return False
        self._left = 0 if self._chunked else int(length)
        return True

    def _opaque(self) -> Piece:
        self._is_opaque = True
        return Piece(self._take(len(self._buffer)))
