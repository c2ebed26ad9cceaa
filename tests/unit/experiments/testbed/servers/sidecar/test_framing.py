"""Requests and answers in what is sent: found however the bytes are cut, and passed on as they came."""

import pytest

from experiments.testbed.servers.sidecar.framing import (
    MAX_HEAD_BYTES,
    MAX_KEPT_BYTES,
    AnswerFraming,
    HalfAnswer,
    Head,
    Piece,
    RequestFraming,
)

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


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
GOOD = HEAD + b"0123456789"
IN_CHUNKS_HEAD = b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"
IN_CHUNKS = b"4\r\n0123\r\n4\r\n4567\r\n0\r\n\r\n"
UNTIL_THE_END = b"HTTP/1.0 200 OK\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
SIZES = (1, 3, 1000)


@pytest.mark.parametrize("size", SIZES)
def test_feed_finds_each_answer_however_its_bytes_are_cut(size: int) -> None:
    """One without a length goes on to the connection's end, and 204 has none, whatever it declares."""
    framing = AnswerFraming()
    no_body = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"
    sent = CONTINUE + GOOD + IN_CHUNKS_HEAD + IN_CHUNKS + no_body + BUSY + UNTIL_THE_END + GOOD
    pieces = [piece for start in range(0, len(sent), size) for piece in framing.feed(sent[start : start + size])]
    assert b"".join(piece.data for piece in pieces) == sent
    assert [piece.status for piece in pieces if piece.status] == [100, 200, 200, 204, 503, 200]
    assert sum(piece.ends for piece in pieces) == 5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        (GOOD, HEAD + b"01234"),
        (IN_CHUNKS_HEAD + IN_CHUNKS, IN_CHUNKS_HEAD + IN_CHUNKS[: len(IN_CHUNKS) // 2]),
        (CONTINUE + GOOD, CONTINUE + HEAD + b"01234"),
        (GOOD + BUSY, HEAD + b"01234"),
    ],
)
def test_half_answer_is_the_head_and_half_of_the_body(sent: bytes, passed: bytes, size: int) -> None:
    """Once it has come whole the connection is to end; nothing of what follows is passed on."""
    half = HalfAnswer()
    given = [half.feed(sent[start : start + size]) for start in range(0, len(sent), size)]
    assert (b"".join(given), half.is_over, half.is_cut) == (passed, True, True)


@pytest.mark.parametrize("size", SIZES)
def test_half_answer_passes_on_whole_what_is_not_good(size: int) -> None:
    """A word beforehand comes through before the answer does."""
    half = HalfAnswer()
    assert half.feed(CONTINUE) == CONTINUE
    given = [half.feed(BUSY[start : start + size]) for start in range(0, len(BUSY), size)]
    assert (b"".join(given), half.is_over, half.is_cut) == (BUSY, True, False)


@pytest.mark.parametrize("empty", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_half_answer_without_a_body_is_a_reset(empty: bytes) -> None:
    """There is nothing to cut in two, and what was passed on would be whole."""
    half = HalfAnswer()
    assert (half.feed(empty), half.is_cut, half.by_reset) == (b"", True, True)


def test_half_answer_without_a_length_is_cut_where_the_server_ends() -> None:
    """Nothing is passed on before, for its half is not known; a good one that is too long is cut off all the same."""
    half = HalfAnswer()
    assert (half.feed(UNTIL_THE_END + b"01234567"), half.is_over) == (b"", False)
    assert (half.end(), half.is_cut, half.by_reset) == (UNTIL_THE_END + b"0123", True, True)
    long = HalfAnswer()
    assert len(long.feed(UNTIL_THE_END + bytes(MAX_KEPT_BYTES))) == len(UNTIL_THE_END) + MAX_KEPT_BYTES // 2
    assert long.is_cut
