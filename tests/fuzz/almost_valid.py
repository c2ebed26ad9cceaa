"""Strategies for bytes that are almost HTTP requests: put together by the grammar, then damaged in a few places."""

from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

from tests.harness.http_client import chunked
from tests.harness.project import SAMPLE

SMALL_BODIES = [
    *(b"{}", b"[]", SAMPLE, b"NaN", b"\x00", b"\xff\xfe", b"0\r\n\r\n", b'{"mean area": 1e999}', b"[" * 2_000),
    b"",
]
HIDDEN = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nhidden"

METHODS = [b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"FOO", b"get", b"P(ST", b""]
TARGETS = [
    *(b"/health", b"/health", b"/", b"//predict", b"/predict?a=b&%00", b"*", b"/nowhere"),
    *(b"/predict/..%2f", b"/predict;x", b"/predict%00", b"/predict#x", b"http://h/predict", b"http://[::1/predict"),
    *(b"localhost:80", b"predict", b"/%ff", b"/\xe9", b"/static/x", b"/" + b"a" * 5_000, b"", b"://predict"),
]
VERSIONS = [b"HTTP/1.0", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/9.9", b"http/1.1", b"HTTP/1", b""]
LINE_ENDS = [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n ", b"\r\n\r\n", b""]
COLONS = [b":", b":\t", b": \t ", b" : ", b"\t:", b" ", b"=", b":\x0b", b"_:"]
EXTRA_HEADERS = [
    *(b"Host: localhost", b"Host: other", b"Host:", b"Host: a..b", b"Host: [", b"Content-Type: text/plain"),
    *(b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: websocket"),
    *(b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", b"Expect: 100-continue", b"Expect: teapot", b"TE: trailers"),
    *(b"Content-Encoding: gzip", b"Transfer_Encoding: chunked", b"Content_Length: 5", b"X-A: \xff\x80", b"X-A: a\x00b"),
    *(b"SCRIPT_NAME: /predict", b"X-Forwarded-For: x", b"Cookie: a=b", b" folded: a", b"\tfolded", b"no colon", b": a"),
    *(b"Trailer: Content-Length", b"Range: bytes=0-0", b"Content-Length-: 1", b"X-L: " + b"x" * 9_000, b"Origin: null"),
]
LENGTHS = [*b"0 1 6 99 -1 +2 0x2 2_0 \xb2".split(b" "), b"2, 2", b" 2", b"2 ", b"", b"9" * 30, b"9" * 5_000]
CODINGS = [
    *(b"Chunked", b"CHUNKED", b"chunked, chunked", b"identity, chunked", b"identity", b"gzip, chunked"),
    *(b"chunked, gzip", b"x", b"\x0bchunked", b"chunked;q=1", b'"chunked"', b",chunked", b"chunked,", b""),
]
CHUNK_DAMAGE = [
    *(b"0\r\n\r\n", b"2\r\n{}\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n{}\r\n0\r\n\r\n"),
    *(b"0x2\r\n{}\r\n0\r\n\r\n", b"2\n{}\n0\n\n", b"3\r\n{}\r\n0\r\n\r\n", b"1\r\n{}\r\n0\r\n\r\n"),
    *(b"2;a=b\r\n{}\r\n0\r\n\r\n", b"2;\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nX: 1\r\n\r\n"),
    *(b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nX: a\n\r\n\r\n", b"ffffffffffffffffffff\r\n{}"),
    *(b'2;a="\r\n{}\r\n0\r\n\r\n', b"2 \r\n{}\r\n0\r\n\r\n", b"00000002\r\n{}\r\n000\r\n\r\n", b"2\r\n{}XX0\r\n\r\n"),
]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"0", b"-", b"\x7f", b"\x0b"),
    *(b"\x1b", b"0\r\n\r\n", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", HIDDEN),
    b" HTTP/1.1\r\n",
]


class Message(NamedTuple):
    """What is sent on one connection, piece by piece; `repr` gives the bytes to repeat it."""

    pieces: tuple[bytes, ...]

    @property
    def whole(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


Odd = frozenset[str]
"""Which parts of a request are to be odd; all others are right."""

PARTS = ["method", "target", "version", "line end", "colon", "headers", "usual headers", "length", "coding", "chunks"]
PARTS_OF_FRAMING = ["both", "two lengths", "no framing"]


def pick(draw: st.DrawFn, odd: Odd, part: str, usual: list[bytes], unusual: list[bytes]) -> bytes:
    """One of the usual values, or of the unusual ones if this part is to be odd."""
    return draw(st.sampled_from(unusual if part in odd else usual))


@st.composite
def framed_bodies(draw: st.DrawFn, odd: Odd) -> tuple[list[bytes], bytes]:
    """Framing headers and a body, which agree but for what is odd; the body may look like a request."""
    body = draw(st.sampled_from([*SMALL_BODIES, HIDDEN, HIDDEN + SAMPLE]))
    colon = pick(draw, odd, "colon", [b": "], COLONS)
    length = b"Content-Length" + colon
    value = pick(draw, odd, "length", [b"%d" % len(body)], LENGTHS)
    coding = b"Transfer-Encoding" + colon + pick(draw, odd, "coding", [b"chunked"], CODINGS)
    in_chunks = chunked(body, draw(st.sampled_from([1, 3, 64, 4_096])))
    chunks = pick(draw, odd, "chunks", [in_chunks], CHUNK_DAMAGE)
    if "no framing" in odd:
        return [], body
    if "two lengths" in odd:
        return [length + value, length + draw(st.sampled_from([value, *LENGTHS]))], body
    if "both" in odd:
        return [length + draw(st.sampled_from([value, b"%d" % len(chunks)])), coding], chunks
    if odd & {"coding", "chunks"} or ("length" not in odd and draw(st.booleans())):
        return [coding], chunks
    return [length + value], body


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request that is right in all but a few parts."""
    odd = frozenset(draw(st.lists(st.sampled_from(PARTS + PARTS_OF_FRAMING), max_size=2)))
    framing, body = draw(framed_bodies(odd))
    usual = [b"Host: localhost", b"Content-Type: application/json"]
    if "usual headers" in odd:
        usual = draw(st.sampled_from([usual[:1], usual[1:], [], usual * 2, usual[:1] * 2 + usual[1:]]))
    extra = draw(st.lists(st.sampled_from(EXTRA_HEADERS), min_size=1, max_size=2)) if "headers" in odd else []
    method = pick(draw, odd, "method", [b"POST", b"POST", b"GET"], METHODS)
    target = pick(draw, odd, "target", [b"/predict"], TARGETS)
    version = pick(draw, odd, "version", [b"HTTP/1.1"], VERSIONS)
    lines = [b" ".join((method, target, version)), *draw(st.permutations([*usual, *extra, *framing])), b""]
    ends = [b"\r\n"] * len(lines)
    if "line end" in odd:
        ends[draw(st.integers(0, len(ends) - 1))] = draw(st.sampled_from(LINE_ENDS))
    return b"".join(part + end for part, end in zip(lines, ends, strict=True)) + body


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The same bytes with something cut out, put in, written over, repeated, or cut off."""
    place = draw(st.integers(0, len(whole)))
    length = draw(st.integers(1, 12))
    piece = draw(st.sampled_from(PIECES))
    before, hit, after = whole[:place], whole[place : place + length], whole[place + length :]
    damages = [before + after, before + piece + hit + after, before + piece + after, before + hit * 2 + after, before]
    return draw(st.sampled_from(damages))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """One to three requests on one connection, with a few damages, in one piece or several."""
    whole = b"".join(draw(st.lists(requests(), min_size=1, max_size=3)))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        whole = draw(damaged(whole))
    cuts = [0, *sorted(draw(st.lists(st.integers(0, len(whole)), max_size=2))), len(whole)]
    return Message(tuple(whole[start:end] for start, end in pairwise(cuts) if end > start))
