"""A second opinion on where requests end, by RFC 9112 alone."""

import re
from typing import NamedTuple

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.[0-9]")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)[\t ]*(?:;[^\r\n]*)?\r\n")


class Asked(NamedTuple):
    """A complete request as RFC 9112 reads it."""

    method: bytes
    target: bytes
    body: bytes


def requests_in(sent: bytes) -> list[Asked]:
    """Reads the requests that these bytes hold beyond doubt: a server may serve these or fewer, never others.

    A GET may be served for its headers alone; one whose body goes wrong counts, as the last.
    """
    found = []
    while request := _one_request(sent.removeprefix(b"\r\n")):
        asked, sent = request
        found.append(asked)
    return found


def _one_request(sent: bytes) -> tuple[Asked, bytes] | None:
    head, separator, rest = sent.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if not separator or not line:
        return None
    fields = [(name.lower(), value.strip(b" \t")) for name, _, value in (one.partition(b":") for one in lines)]
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    coding = [one.strip(b" \t").lower() for one in b",".join(codings).split(b",")]
    if len(lengths) > 1 or (lengths and codings) or (codings and coding[-1] != b"chunked"):
        return None
    body = _chunks(rest) if codings else _counted(rest, lengths[0] if lengths else b"0")
    if body is None and line[1] == b"GET":
        body = b"", b""
    return None if body is None else (Asked(line[1], line[2], body[0]), body[1])


def _counted(rest: bytes, length: bytes) -> tuple[bytes, bytes] | None:
    """The body of this length and what follows it; None where the length is no number or the body not whole."""
    if not re.fullmatch(rb"[0-9]{1,4000}", length) or len(rest) < int(length):
        return None
    return rest[: int(length)], rest[int(length) :]


def _chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    """The body in these chunks and what follows it; None where one is out of form or the last is missing."""
    body = b""
    while line := _CHUNK_LINE.match(rest):
        size, rest = int(line[1], 16), rest[line.end() :]
        if size == 0:
            if rest.startswith(b"\r\n"):
                return body, rest[2:]
            _, end, after = rest.partition(b"\r\n\r\n")
            return (body, after) if end else None
        if rest[size : size + 2] != b"\r\n":
            return None
        body, rest = body + rest[:size], rest[size + 2 :]
    return None
