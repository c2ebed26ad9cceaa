"""Where requests and answers begin and end in what is sent; their bytes stay as they are. No I/O.

Always on, whether a fault is or not: a fault has to know the next request of a connection that was opened before it.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

MAX_HEAD_BYTES = 65_536

MAX_KEPT_BYTES = 2**20
"""So much of an answer's body is kept at most before it is cut off."""

BLANK_LINE = re.compile(rb"\r?\n\r?\n")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S+) +HTTP/1\.[01]")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] +([0-9]{3})( .*)?")
LENGTH = re.compile(rb"[0-9]{1,15}")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n", re.DOTALL)


class Head(NamedTuple):
    """What a request asks for."""

    method: str
    target: str


class Piece(NamedTuple):
    """Some bytes of one message: a request or an answer."""

    data: bytes
    head: Head | None = None
    """Of the first piece of a request; None of the others, and of bytes that are no HTTP/1 request."""
    ends: bool = False
    """Whether the message ends with it."""
    status: int = 0
    """Of the first piece of an answer; else 0."""


class Framing(ABC):
    """Cuts the bytes that one side of a connection sends into messages.

    What is not understood, or asks for another protocol, makes the rest of the connection opaque: passed on as it is.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        """Bytes of the body, or of the chunk, that are still to come."""
        self._chunked = self._in_trailers = False
        self.is_opaque = False
        """Whether what comes is passed on as it is, up to the connection's end."""

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
        if self.is_opaque:
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
        about = self._read_head(lines[0].rstrip(b"\r"), dict(fields[1:]))
        if about is None:
            return self._opaque()
        is_over = not (self._left or self._chunked or self.is_opaque)
        return about._replace(data=self._take(end.end()), ends=is_over)

    @abstractmethod
    def _read_head(self, first_line: bytes, fields: Mapping[bytes, bytes]) -> Piece | None:
        """Notes how long the body is, and returns what its first piece tells; None for what is not understood."""

    def _begin_body(self, fields: Mapping[bytes, bytes]) -> bool:
        """Notes how long the body is; returns whether that is known."""
        coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length", b"0")
        self._chunked = coding is not None and coding.lower() == b"chunked"
        if b"upgrade" in fields or (coding is not None and not self._chunked) or not LENGTH.fullmatch(length):
            return False
        self._left = 0 if self._chunked else int(length)
        return True

    def _opaque(self) -> Piece:
        self.is_opaque = True
        return Piece(self._take(len(self._buffer)))


class RequestFraming(Framing):
    """Cuts what a client sends into requests."""

    def _read_head(self, first_line: bytes, fields: Mapping[bytes, bytes]) -> Piece | None:
        request = REQUEST_LINE.fullmatch(first_line)
        if request is None or not self._begin_body(fields):
            return None
        return Piece(b"", Head(request[1].decode(), request[2].decode("latin-1")))


class AnswerFraming(Framing):
    """Cuts what a server sends into answers; none of them may be to a HEAD, whose answer has no body."""

    def _read_head(self, first_line: bytes, fields: Mapping[bytes, bytes]) -> Piece | None:
        answer = STATUS_LINE.fullmatch(first_line)
        if answer is None:
            return None
        status = int(answer[1])
        has_body = status >= 200 and status not in (204, 304)
        ends_with_connection = not {b"content-length", b"transfer-encoding"} & fields.keys()
        if has_body and (ends_with_connection or not self._begin_body(fields)):
            self.is_opaque = True  # the head is known, the body goes on to the connection's end
        return Piece(b"", status=status)


class HalfAnswer:
    """The answer to one prediction, kept back until it has come whole: then the first half of its body is passed on.

    An answer that is not good (2xx) is passed on as it comes.
    """

    def __init__(self) -> None:
        self._framing = AnswerFraming()
        self._head = self._body = b""
        self._is_good = True
        self.is_over = False
        """Whether nothing more of it comes."""
        self.by_reset = False
        """Whether an end of the connection alone would make a whole answer of it, so that a reset has to cut it."""

    @property
    def is_cut(self) -> bool:
        """Whether the connection is to end with what was passed on."""
        return self.is_over and self._is_good

    def feed(self, data: bytes) -> bytes:
        """Takes what the server sends; returns what is to be passed on now."""
        return b"".join(map(self._take, self._framing.feed(data)))

    def end(self) -> bytes:
        """Returns what is to be passed on where the server sends no more."""
        self.is_over = True
        if not self._is_good:
            return self._framing.rest()
        self.by_reset = self._framing.is_opaque or not self._body
        return self._head + self._body[: len(self._body) // 2] if self._body else b""

    def _take(self, piece: Piece) -> bytes:
        if self.is_cut:
            return b""
        if piece.status:
            self._is_good = 200 <= piece.status < 300
        if piece.status // 100 == 1:  # a word beforehand, as 100 Continue
            return piece.data
        if not self._is_good:
            self.is_over = piece.ends
            return piece.data
        self._head, self._body = (piece.data, b"") if piece.status else (self._head, self._body + piece.data)
        return self.end() if piece.ends or len(self._body) >= MAX_KEPT_BYTES else b""
