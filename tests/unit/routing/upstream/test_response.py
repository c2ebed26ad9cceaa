"""A predictor's answer in every shape, byte by byte: what is whole, what is not, and what is too much. No sockets."""

import pytest

from routing.upstream.errors import UnusableResponse
from routing.upstream.response import MAX_FRAMING_BYTES, MAX_RESPONSE_BYTES, Response, ResponseParser

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WHOLE = OK + b"Content-Length: 2\r\n\r\n{}"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EXPECTED = Response(200, {"Content-Type": "application/json"}, b"{}", "a")


def parsed(*pieces: bytes) -> ResponseParser:
    """A parser that has taken these pieces."""
    parser = ResponseParser()
    for piece in pieces:
        parser.parse(piece)
    return parser


@pytest.mark.parametrize(
    "raw",
    [
        WHOLE,
        CHUNKED + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\nRetry-After: 9\r\n\r\n" + WHOLE,
        CHUNKED + b"2\r\n{}\r\n0\r\nRetry-After: 9\r\n\r\n",
    ],
    ids=["length", "chunks", "after_continue", "after_hints", "trailer"],
)
def test_parse_whole_answer_in_any_pieces_is_the_same(raw: bytes) -> None:
    """Where the network cuts an answer means nothing; interim answers and trailers leave nothing behind."""
    for pieces in ([raw], [raw[i : i + 1] for i in range(len(raw))], [raw[:-1], raw[-1:]]):
        parser = parsed(*pieces)
        assert parser.complete
        assert parser.keep_alive
        assert parser.response("a") == EXPECTED


@pytest.mark.parametrize("surplus", [WHOLE, b"garbage", b"H", b"\r\n\r\nHTTP/1.1 500 No\r\n\r\n", b"\x00" * 200_000])
def test_parse_more_than_the_answer_keeps_the_answer_and_not_the_connection(surplus: bytes) -> None:
    """Bytes behind an answer change nothing in it, and are nobody's."""
    parser = parsed(WHOLE + surplus)
    assert parser.response("a") == EXPECTED
    assert not parser.keep_alive


@pytest.mark.parametrize(
    "pieces",
    [[WHOLE.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)], [WHOLE.replace(b"1.1", b"1.0")], [OK + b"\r\n{}", b""]],
    ids=["close", "http_1_0", "no_length"],
)
def test_parse_last_answer_of_its_connection_says_so(pieces: list[bytes]) -> None:
    """A connection that the predictor ends is not kept."""
    parser = parsed(*pieces)
    assert parser.response("a") == EXPECTED
    assert not parser.keep_alive


UNUSABLE = {
    "other_protocol": [b"220 mail ready\r\n"],
    "rtsp": [b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
    "bare_line_feeds": [b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"],
    "status_0": [b"HTTP/1.1 000 Own\r\nContent-Length: 2\r\n\r\n{}"],
    "status_101": [b"HTTP/1.1 101 Own\r\nUpgrade: x\r\n\r\n"],
    "only_interim": [b"HTTP/1.1 103 Own\r\n\r\n", b""],
    "cut_in_head": [OK, b""],
    "cut_in_body": [WHOLE[:-1], b""],
    "cut_in_chunk": [CHUNKED + b"5\r\nab", b""],
    "two_lengths": [OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"],
    "length_and_chunked": [OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    "chunked_and_length": [OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    "chunked_twice": [OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    "other_coding": [OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    "folded_header": [OK + b"Allow: GET\r\n POST\r\nContent-Length: 2\r\n\r\n{}"],
    "control_in_header": [OK + b"Allow: \x01\r\nContent-Length: 2\r\n\r\n{}"],
    "half_json_without_length": [OK + b'\r\n{"a', b""],
}


@pytest.mark.parametrize("pieces", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_answer_that_is_none_is_unusable(pieces: list[bytes]) -> None:
    """What is cut short, contradicts itself or is not HTTP never becomes an answer."""
    with pytest.raises(UnusableResponse):
        parsed(*pieces).response("a")


FLOODS = {
    "header": (OK + b"X: ", b"x"),
    "headers": (OK, b"X: y\r\n"),
    "status_line": (b"HTTP/1.1 200 ", b"O"),
    "chunk_size": (CHUNKED, b"0"),
    "tiny_chunks": (CHUNKED, b"1\r\nx\r\n"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize(("start", "again"), FLOODS.values(), ids=FLOODS.keys())
def test_parse_endless_framing_ends_at_its_bound(start: bytes, again: bytes) -> None:
    """What is not body is bounded by itself, however it comes."""
    blocks = 2 + 2 * MAX_FRAMING_BYTES // 8192
    with pytest.raises(UnusableResponse, match="beside its body"):
        parsed(start + again, *[again * (8192 // len(again))] * blocks)


@pytest.mark.parametrize("head", [OK + b"\r\n", OK + b"Content-Length: 1000000000000\r\n\r\n"])
def test_parse_endless_body_ends_at_its_bound(head: bytes) -> None:
    """A body is taken up to the largest answer, and no further."""
    blocks = MAX_RESPONSE_BYTES // 65_536 + 1
    with pytest.raises(UnusableResponse, match="larger than"):
        parsed(head, *[b"x" * 65_536] * blocks)
