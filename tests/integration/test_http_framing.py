"""Where one request ends and the next begins: whatever the bytes, no endpoint takes a part of one for another."""

import select
import time
from contextlib import ExitStack

import pytest

from tests.harness.endpoint import Endpoint
from tests.harness.http_client import CHUNKED, GET_HEALTH, HOST, POST, SMUGGLED, answers_in, chunked, post, until_end
from tests.harness.project import SAMPLE

HEADERS_WITHIN_S = 15.0
BODY_WITHIN_S = 10.0
SLACK_S = 2.0
CODING_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH_OF_SMUGGLED = b"Content-Length: %d\r\n" % len(SMUGGLED)

LENGTHS = {
    "with_coding": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "after_coding": b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    "with_coding_in_other_case": b"content-length: 2\r\nTRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n",
    "two": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "two_equal": b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "list": b"Content-Length: 2, 2\r\n\r\n{}",
    "negative": b"Content-Length: -2\r\n\r\n{}",
    "signed": b"Content-Length: +2\r\n\r\n{}",
    "hexadecimal": b"Content-Length: 0x2\r\n\r\n{}",
    "hexadecimal_digit": b"Content-Length: a\r\n\r\n{}        ",
    "grouped": b"Content-Length: 2_0\r\n\r\n{}",
    "spaced": b"Content-Length: 2 0\r\n\r\n{}",
    "fraction": b"Content-Length: 2.0\r\n\r\n{}",
    "exponent": b"Content-Length: 2e0\r\n\r\n{}",
    "superscript": b"Content-Length: \xb2\r\n\r\n{}",
    "quoted": b'Content-Length: "2"\r\n\r\n{}',
    "empty": b"Content-Length:\r\n\r\n{}",
    "vertical_tab": b"Content-Length: \x0b2\r\n\r\n{}",
    "space_before_colon": b"Content-Length : 2\r\n\r\n{}",
    "tab_before_colon": b"Content-Length\t: 2\r\n\r\n{}",
    "5000_digits": b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n{}",
}


@pytest.mark.parametrize("rest", LENGTHS.values(), ids=LENGTHS.keys())
def test_length_in_doubt_is_400_and_nothing_after_it_is_read(endpoint: Endpoint, rest: bytes) -> None:
    """Two lengths, or one that is not plain digits, tell no end: RFC 9112, 6.3."""
    assert endpoint.refusal(POST + rest + SMUGGLED).status == 400


@pytest.mark.parametrize("digits", [7, 12, 30, 4_000], ids=str)
def test_length_too_large_is_413_before_a_byte_of_it_comes(endpoint: Endpoint, digits: int) -> None:
    """The announced length is enough to refuse, however many digits it has."""
    assert endpoint.refusal(POST + b"Content-Length: " + b"9" * digits + b"\r\n\r\n" + SMUGGLED).status == 413


CODINGS = {
    "unknown": b"Transfer-Encoding: xchunked\r\n",
    "unknown_then_chunked": b"Transfer-Encoding: x, chunked\r\n",
    "compressed": b"Transfer-Encoding: gzip\r\n",
    "compressed_then_chunked": b"Transfer-Encoding: gzip, chunked\r\n",
    "chunked_then_compressed": b"Transfer-Encoding: chunked, gzip\r\n",
    "chunked_twice": b"Transfer-Encoding: chunked, chunked\r\n",
    "chunked_in_two_lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "chunked_then_identity": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "identity": b"Transfer-Encoding: identity\r\n",
    "empty": b"Transfer-Encoding:\r\n",
    "empty_members": b"Transfer-Encoding: ,chunked,\r\n",
    "quoted": b'Transfer-Encoding: "chunked"\r\n',
    "parameter": b"Transfer-Encoding: chunked;q=1\r\n",
    "vertical_tab": b"Transfer-Encoding: \x0bchunked\r\n",
    "nul": b"Transfer-Encoding: chunked\x00\r\n",
    "no_break_space": b"Transfer-Encoding: \xa0chunked\r\n",
    "space_before_colon": b"Transfer-Encoding : chunked\r\n",
    "tab_before_colon": b"Transfer-Encoding\t: chunked\r\n",
    "folded": b"Transfer-Encoding:\r\n chunked\r\n",
    "first_line_folded": b" Transfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("line", CODINGS.values(), ids=CODINGS.keys())
def test_coding_other_than_chunked_is_refused(endpoint: Endpoint, line: bytes) -> None:
    """Only `chunked` is understood, once and alone; anything else is 400, or 501 where it may be a coding."""
    assert endpoint.refusal(POST + line + b"\r\n" + chunked(SAMPLE) + SMUGGLED).status in (400, 501)


def test_coding_in_http_1_0_is_400(endpoint: Endpoint) -> None:
    """HTTP/1.0 knows no chunks: RFC 9112, 6.1."""
    old = CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0")
    assert endpoint.refusal(old + chunked(SAMPLE) + SMUGGLED).status == 400


@pytest.mark.parametrize("coding", [b"\tchunked", b"chunked\t ", b"CHUNKED", b"identity, chunked"])
def test_coding_written_otherwise_is_one_clean_request_or_none(endpoint: Endpoint, coding: bytes) -> None:
    """Blanks and capital letters change nothing; a coding that does nothing may be served or refused."""
    heard = endpoint.responses(POST + b"Transfer-Encoding:" + coding + b"\r\n\r\n" + chunked(SAMPLE) + GET_HEALTH)
    assert [answer.status for answer in heard] in ([200, 200], [400], [501])


@pytest.mark.parametrize("name", [b"Content_Length", b"Transfer_Encoding", b"Content-Length_", b"Transfer.Encoding"])
@pytest.mark.parametrize("value", [b"2", b"chunked"])
def test_header_that_only_resembles_framing_frames_nothing(endpoint: Endpoint, name: bytes, value: bytes) -> None:
    """`Content_Length` is another name, though CGI writes both the same: the request has no body."""
    heard = endpoint.responses(POST + name + b": " + value + b"\r\n\r\n" + b"0\r\n\r\n" + SMUGGLED)
    assert [answer.status for answer in heard] in ([200, 400], [400, 400], [400])
    if endpoint.stubs:
        assert [request.body for request in endpoint.stub.received] in ([], [b""])


CHUNKS = {
    "size_no_number": b"zz\r\n{}\r\n0\r\n\r\n",
    "size_negative": b"-2\r\n{}\r\n0\r\n\r\n",
    "size_signed": b"+2\r\n{}\r\n0\r\n\r\n",
    "size_prefixed": b"0x2\r\n{}\r\n0\r\n\r\n",
    "size_grouped": b"0_2\r\n{}\r\n0\r\n\r\n",
    "size_empty": b"\r\n{}\r\n0\r\n\r\n",
    "size_missing": b";a=b\r\n{}\r\n0\r\n\r\n",
    "size_after_space": b" 2\r\n{}\r\n0\r\n\r\n",
    "size_before_space": b"2 \r\n{}\r\n0\r\n\r\n",
    "size_too_small": b"1\r\n{}\r\n0\r\n\r\n",
    "size_too_large": b"3\r\n{}\r\n0\r\n\r\n",
    "size_line_endless": b"2;" + b"a" * 20_000,
    "data_unterminated": b"2\r\n{}XX0\r\n\r\n",
    "data_ended_by_lf": b"2\r\n{}\n0\r\n\r\n",
    "data_ended_by_cr": b"2\r\n{}\r0\r\n\r\n",
    "size_ended_by_lf": b"2\n{}\r\n0\r\n\r\n",
    "size_ended_by_cr": b"2\r{}\r\n0\r\n\r\n",
    "extension_with_lf": b"2;a=\nb\r\n{}\r\n0\r\n\r\n",
    "extension_with_cr": b"2;a\rb\r\n{}\r\n0\r\n\r\n",
    "extension_with_nul": b"2;a=\x00\r\n{}\r\n0\r\n\r\n",
    "extension_unnamed": b"2;\r\n{}\r\n0\r\n\r\n",
    "extension_quote_open": b'2;a="b\r\n{}\r\n0\r\n\r\n',
    "trailer_no_header": b"2\r\n{}\r\n0\r\nno colon\r\n\r\n",
    "trailer_length": b"2\r\n{}\r\n0\r\nContent-Length: 2\r\n\r\n",
    "trailer_coding": b"2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailer_host": b"2\r\n{}\r\n0\r\nHost: other\r\n\r\n",
    "trailer_with_lf": b"2\r\n{}\r\n0\r\nX: a\nb\r\n\r\n",
    "trailer_folded": b"2\r\n{}\r\n0\r\nX: a\r\n b\r\n\r\n",
    "trailers_5000": b"2\r\n{}\r\n0\r\n" + b"X: 1\r\n" * 5_000 + b"\r\n",
    "trailer_200_kb": b"2\r\n{}\r\n0\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS.keys())
def test_chunks_out_of_form_are_400_and_nothing_after_them_is_read(endpoint: Endpoint, chunks: bytes) -> None:
    """Where a chunk's end is in doubt, so is the start of the next request."""
    assert endpoint.refusal(CHUNKED + chunks + SMUGGLED).status in (400, 431)


@pytest.mark.parametrize("chunks", [b"2\r\n{}\r\n", b"5\r\n{}", b"2\r\n{}\r\n0\r\n", b"2\r\n{}\r\n0", b"", b"f" * 40])
def test_chunks_that_end_early_are_400(endpoint: Endpoint, chunks: bytes) -> None:
    """A client that stops in the middle of its body has not made a request."""
    assert endpoint.statuses(CHUNKED + chunks) == [400]
    assert not endpoint.forwarded


def test_chunks_with_extension_and_trailer_are_one_request(endpoint: Endpoint) -> None:
    """Both are allowed, and both end here; what follows is the next request."""
    body = b'%x ; a=1;b="c;d"\r\n%s\r\n000\r\nX-Trailer: 1\r\n\r\n' % (len(SAMPLE), SAMPLE)
    assert endpoint.statuses(CHUNKED + body + GET_HEALTH) == [200, 200]
    if endpoint.stubs:
        [received] = endpoint.stub.received
        assert received.body == SAMPLE
        assert "x-trailer" not in received.headers


HIDING_PLACES = {
    "unknown_path": b"POST /nowhere HTTP/1.1\r\n" + HOST + LENGTH_OF_SMUGGLED + b"\r\n" + SMUGGLED,
    "unknown_path_chunked": b"POST /nowhere HTTP/1.1\r\n" + HOST + CODING_CHUNKED + chunked(SMUGGLED),
    "other_method": b"PUT /predict HTTP/1.1\r\n" + HOST + LENGTH_OF_SMUGGLED + b"\r\n" + SMUGGLED,
    "delete": b"DELETE /predict HTTP/1.1\r\n" + HOST + LENGTH_OF_SMUGGLED + b"\r\n" + SMUGGLED,
    "health": b"GET /health HTTP/1.1\r\n" + HOST + LENGTH_OF_SMUGGLED + b"\r\n" + SMUGGLED,
    "health_chunked": b"GET /health HTTP/1.1\r\n" + HOST + CODING_CHUNKED + chunked(SMUGGLED),
    "expecting": b"PUT /predict HTTP/1.1\r\n" + HOST + LENGTH_OF_SMUGGLED + b"Expect: 100-continue\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("sent", HIDING_PLACES.values(), ids=HIDING_PLACES.keys())
def test_body_that_nobody_reads_is_not_taken_for_a_request(endpoint: Endpoint, sent: bytes) -> None:
    """A body belongs to its request also where that is refused or needs none."""
    heard = endpoint.responses(sent + GET_HEALTH)
    assert [answer.status for answer in heard] in ([heard[0].status, 200], [heard[0].status])
    assert endpoint.forwarded == 0


def test_body_of_a_get_is_not_taken_for_a_request(endpoint: Endpoint) -> None:
    """GET /predict needs no body; one that comes all the same is skipped."""
    none = b"Content-Length: 0\r\n\r\n"
    for framed in (LENGTH_OF_SMUGGLED + b"\r\n" + SMUGGLED, CODING_CHUNKED + chunked(SMUGGLED), none):
        assert endpoint.statuses(b"GET /predict HTTP/1.1\r\n" + HOST + framed + GET_HEALTH) == [200, 200]
    if endpoint.stubs:
        assert [request.body for request in endpoint.stub.received] == [b""] * 3


def test_pipelined_requests_are_answered_in_their_order(endpoint: Endpoint) -> None:
    """Requests that follow each other without waiting are served one by one."""
    unknown = b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n"
    sent = [post(), GET_HEALTH, b"\r\n", CHUNKED, chunked(SAMPLE), unknown, post()]
    assert endpoint.statuses(b"".join(sent)) == [200, 200, 200, 404, 200]
    if endpoint.stubs:
        assert [request.body for request in endpoint.stub.received] == [SAMPLE] * 3


@pytest.mark.parametrize("bad", [POST + LENGTHS["two"], CHUNKED + CHUNKS["data_unterminated"], b"SSH-2.0-x\r\n"])
def test_pipelined_requests_after_a_bad_one_are_not_read(endpoint: Endpoint, bad: bytes) -> None:
    """The good ones before it are answered, then it is refused, then the connection ends."""
    heard = endpoint.responses(post() + post() + bad + SMUGGLED + post(), finish=False)
    assert [answer.status for answer in heard] == [200, 200, 400]


def test_request_that_says_close_is_the_last(endpoint: Endpoint) -> None:
    """`Connection: close` ends the connection after the answer, whatever has been sent after it."""
    assert endpoint.statuses(post(b"Connection: close\r\n") + SMUGGLED, finish=False) == [200]


@pytest.mark.parametrize(("kept", "statuses"), [(b"Connection: keep-alive\r\n", [200, 200]), (b"", [200])])
def test_http_1_0_is_kept_only_where_it_asks(endpoint: Endpoint, kept: bytes, statuses: list[int]) -> None:
    """HTTP/1.0 closes after the answer unless the client says keep-alive."""
    old = post(kept).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert endpoint.statuses(old + old) == statuses


UNFINISHED = {
    "nothing": b"",
    "line": b"POST /predict HT",
    "line_ended_by_cr": b"GET /predict HTTP/1.1\rHost: localhost\r\r",
    "headers": POST,
    "header": POST + b"Content-Le",
    "last_lf": POST + b"Content-Length: 2\r\n\r",
    "body": POST + b"Content-Length: 2\r\n\r\n{",
    "chunk_size": CHUNKED + b"2",
    "chunk_size_ended_by_lf": CHUNKED + b"2\n{}\n0\n\n",
    "chunk": CHUNKED + b"2\r\n{",
    "last_chunk": CHUNKED + b"2\r\n{}\r\n0\r\n",
    "trailer": CHUNKED + b"2\r\n{}\r\n0\r\nX: 1\r\n",
    "expecting": POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
}


def test_request_that_never_ends_is_ended_in_bounded_time(endpoints: dict[str, Endpoint]) -> None:
    """Without its headers complete a connection is closed after 15 s, without its body it hears 408 after 10 s."""
    with ExitStack() as stack:
        waiting = {}
        for each in endpoints.values():
            stack.enter_context(each.watched())
            for name, sent in UNFINISHED.items():
                client = stack.enter_context(each.connect())
                client.sendall(sent)
                waiting[client] = name
        start_s = time.monotonic()
        while waiting:
            left_s = start_s + HEADERS_WITHIN_S + SLACK_S - time.monotonic()
            ended, _, _ = select.select(list(waiting), [], [], max(0.0, left_s))
            assert ended, f"still open: {sorted(waiting.values())}"
            for client in ended:
                received, name = client.recv(65536), waiting[client]
                if received == b"HTTP/1.1 100 Continue\r\n\r\n":
                    continue
                del waiting[client]
                headers_only = UNFINISHED[name].find(b"\r\n\r\n") < 0
                assert time.monotonic() - start_s < (HEADERS_WITHIN_S if headers_only else BODY_WITHIN_S) + SLACK_S
                heard = answers_in(received + (until_end(client) if received else b""))
                assert [answer.status for answer in heard] == ([] if headers_only else [408]), name
