"""Requests in what a client sends: found however the bytes are cut, and passed on as they came."""

import pytest

from experiments.testbed.servers.sidecar.framing import MAX_HEAD_BYTES, Head, Piece, RequestFraming

GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /score?x=1 HTTP/1.1\r\nhost: a\r\ncontent-LENGTH: 5\r\n\r\nGET /"
CHUNKED = (
    b"POST /score HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nGET /\r\nA\n0123456789\r\n0\r\nT: x\r\n\r\n"
)
BARE = b"GET / HTTP/1.0\nHost: a\n\n"
NAMES = {
    GET: Head("GET", "/health"),
    POST: Head("POST", "/score?x=1"),
    CHUNKED: Head("POST", "/score"),
    BARE: Head("GET", "/"),
}


def pieces_of(*parts: bytes) -> list[Piece]:
    """What framing makes of bytes that come in these parts."""
    framing = RequestFraming()
    return [piece for part in parts for piece in framing.feed(part)]


@pytest.mark.parametrize("requests", [[GET, POST, GET], [CHUNKED, GET], [BARE, CHUNKED, POST], [POST]])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_feed_finds_each_request_however_its_bytes_are_cut(requests: list[bytes], size: int) -> None:
    """Bodies that look like requests are none; no byte is lost, added or changed; each request ends once."""
    sent = b"".join(requests)
    pieces = pieces_of(*(sent[start : start + size] for start in range(0, len(sent), size)))
    assert b"".join(piece.data for piece in pieces) == sent
    assert [piece.head for piece in pieces if piece.head] == [NAMES[request] for request in requests]
    assert sum(piece.ends for piece in pieces) == len(requests)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01 hello\r\n\r\n",
        b"POST /score HTTP/1.1\r\nContent-Length: five\r\n\r\n",
        b"POST /score HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"a" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_feed_passes_on_what_it_does_not_understand_for_the_rest_of_the_connection(sent: bytes) -> None:
    """What follows is no request, even where it looks like one."""
    pieces = pieces_of(sent, GET)
    assert b"".join(piece.data for piece in pieces) == sent + GET
    assert [piece.head for piece in pieces if piece.head] == []


def test_feed_after_a_bad_chunk_passes_on_all_the_same() -> None:
    """Where the next request begins is not known any more."""
    sent = b"POST /score HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\n"
    pieces = pieces_of(sent, GET)
    assert b"".join(piece.data for piece in pieces) == sent + GET
    assert [piece.head for piece in pieces if piece.head] == [Head("POST", "/score")]


def test_rest_is_what_was_kept_back() -> None:
    """Half a head goes on once the client sends no more."""
    framing = RequestFraming()
    assert framing.feed(GET[:-2]) == []
    assert (framing.rest(), framing.rest()) == (GET[:-2], b"")
