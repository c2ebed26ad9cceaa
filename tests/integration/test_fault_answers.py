"""Predictors whose health checks pass and whose answers are no answers; what floods is in test_fault_floods.py."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.harness.measurements import record
from tests.harness.processes import SAMPLE, Load, Router, Stage, ask, wait_until
from tests.harness.raw_http import (
    OK,
    SERVICE_TIME_S,
    Adds,
    Bench,
    Judge,
    answers_after_service,
    bench,
    drips,
    is_whole,
    judges,
    resets_after,
    says_nothing,
)
from tests.harness.stubs import Script, StubPredictor, answers, encoded, resets, sends

CONNECT_TIMEOUT_S = 0.5
PASSED_BY_WITHIN_S = CONNECT_TIMEOUT_S + 0.2
AT_ONCE = 12
TRIES = 3
DEADLINE_S = 2.0
SHARE_S = DEADLINE_S / 2  # what a request waits on its first predictor while another has room
QUICK_S = 0.02
SLACK_S = 0.6  # what a busy machine may add to a time that is measured once
HALF = b'{"predictor": "predict1", "prob'
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def of_length(*lengths: str, body: bytes = HALF) -> bytes:
    """An answer that declares these lengths."""
    return OK + "".join(f"Content-Length: {length}\r\n" for length in lengths).encode() + b"\r\n" + body


UNUSABLE = {
    "reset": resets,
    "closed": sends(b""),
    "cut_in_status_line": sends(b"HTTP/1.1 20"),
    "cut_in_headers": sends(OK + b"Content-Le"),
    "cut_before_declared_length": sends(of_length("60")),
    "reset_before_declared_length": resets_after(of_length("60")),
    "cut_in_chunk": sends(CHUNKED + b"40\r\n" + HALF),
    "cut_between_chunks": sends(CHUNKED + b"1f\r\n" + HALF + b"\r\n"),
    "cut_in_chunk_size": sends(CHUNKED + b"1f\r\n" + HALF + b"\r\n1"),
    "no_chunk_size": sends(CHUNKED + b"zz\r\n" + HALF + b"\r\n0\r\n\r\n"),
    "negative_chunk_size": sends(CHUNKED + b"-1\r\n" + HALF + b"\r\n0\r\n\r\n"),
    "half_without_length": sends(OK + b"Connection: close\r\n\r\n" + HALF),
    "reset_without_length": resets_after(OK + b"Connection: close\r\n\r\n" + HALF),
    "nothing_without_length": sends(OK + b"\r\n"),
    "other_protocol_dripping": drips(HALF),
    "other_protocol": sends(b"220 mail.example ESMTP ready\r\n"),
    "binary": sends(bytes(range(256)) * 40),
    "no_status": sends(b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\n{}"),
    "status_99": sends(b"HTTP/1.1 99 Low\r\nContent-Length: 2\r\n\r\n{}"),
    "status_1000": sends(b"HTTP/1.1 1000 High\r\nContent-Length: 2\r\n\r\n{}"),
    "header_without_colon": sends(OK + b"no header\r\nContent-Length: 31\r\n\r\n" + HALF),
    "two_lengths": sends(of_length("20", "31")),
    "two_lengths_in_one": sends(of_length("20, 31")),
    "negative_length": sends(of_length("-20")),
    "signed_length": sends(of_length("+20")),
    "length_in_words": sends(of_length("all")),
    "length_and_chunked": sends(OK + b"Content-Length: 20\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + HALF[:20]),
    "unknown_coding": sends(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n1f\r\n" + HALF + b"\r\n0\r\n\r\n"),
    "only_early_hints": sends(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"),
    "switched_protocols": sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + HALF),
}
"""Answers that end, and are none."""

SLOW: dict[str, Script] = {
    "silent": says_nothing,
    "byte_a_second": drips(encoded(200, HALF)),
    "body_byte_a_second": drips(HALF, at_once=of_length("60", body=b"")),
    "hundreds_of_continue": drips(b"HTTP/1.1 100 Continue\r\n\r\n" * 40, 0.01),
}
"""Answers that never come to an end and never are wrong."""


@pytest.fixture(scope="module")
def shared_bench(shared_stage: Stage) -> Bench:
    """One router before three actives, for all tests of the module."""
    options = ("--deadline", str(DEADLINE_S), "--hold-down", "0.2")
    return bench(shared_stage, "3active", *options, service_time_s=QUICK_S)


@pytest.fixture
def three_active(shared_bench: Bench) -> Iterator[Bench]:
    """The shared router, which must serve after each test as before."""
    yield shared_bench
    shared_bench.set(answers(delay_s=QUICK_S))
    wait_until(lambda: shared_bench.router.predictors("state") == ["serving"] * 3)
    heard = [ask(shared_bench.router.url, body=SAMPLE) for _ in range(3)]
    assert all(is_whole(answer) for answer in heard)
    assert {answer.predictor for answer in heard} == {"predict1", "predict2", "predict3"}
    wait_until(lambda: shared_bench.router.loads() == [0, 0, 0])
    assert "Traceback" not in shared_bench.router.errors()


def ask_until_met(three_active: Bench, stub: StubPredictor) -> float:
    """Send requests one after the other until one has met this stub; all are answered whole; the longest wait."""
    worst_s, seen = 0.0, len(stub.received)
    while len(stub.received) == seen:
        answer = ask(three_active.router.url, body=SAMPLE)
        assert is_whole(answer), answer
        worst_s = max(worst_s, answer.took_s)
    return worst_s - QUICK_S


@pytest.mark.parametrize("name", UNUSABLE)
def test_answer_unusable_from_one_is_given_by_another(three_active: Bench, name: str) -> None:
    """A predictor's unusable answer never reaches the client: another predictor gives a whole one, at once."""
    bad = three_active.stubs[0]
    bad.script = UNUSABLE[name]
    added_wait_s = ask_until_met(three_active, bad)
    assert added_wait_s < SHARE_S + SLACK_S
    record(f"unusable answer from one of three: {name}", lost=0, of=1, worst_added_wait_s=round(added_wait_s, 3))


@pytest.mark.parametrize("name", UNUSABLE)
def test_answer_unusable_from_all_is_502(three_active: Bench, name: str) -> None:
    """Where only unusable answers come, the client hears so after two attempts, and nobody is ejected for it."""
    three_active.set(UNUSABLE[name])
    events, sent = three_active.router.picture()["events"], sum(three_active.received)
    answer = ask(three_active.router.url, body=SAMPLE)
    assert (answer.status, answer.json()["reason"]) == (502, "bad_answer")
    assert answer.took_s < SHARE_S + SLACK_S
    assert sum(three_active.received) == sent + 2
    assert three_active.router.picture()["events"] == events
    record(f"unusable answers from all: {name}", status=answer.status, answered_after_s=round(answer.took_s, 3))


@pytest.mark.parametrize("name", SLOW)
def test_answer_without_end_from_one_is_given_by_another(three_active: Bench, name: str) -> None:
    """A predictor that keeps a request waiting is left at half the deadline; meanwhile others are served."""
    bad = three_active.stubs[0]
    bad.script = SLOW[name]
    added_wait_s = ask_until_met(three_active, bad)
    assert SHARE_S - QUICK_S <= added_wait_s < SHARE_S + SLACK_S
    record(f"answer without end from one of three: {name}", lost=0, of=1, worst_added_wait_s=round(added_wait_s, 3))


@pytest.mark.parametrize("name", SLOW)
def test_answer_without_end_from_all_is_504(three_active: Bench, name: str) -> None:
    """Where no answer comes to its end, the client hears so at the deadline."""
    three_active.set(SLOW[name])
    answer = ask(three_active.router.url, body=SAMPLE)
    assert (answer.status, answer.json()["reason"]) == (504, "timeout")
    assert DEADLINE_S <= answer.took_s < DEADLINE_S + SLACK_S
    record(f"answers without end from all: {name}", status=answer.status, answered_after_s=round(answer.took_s, 3))


@pytest.mark.parametrize("pause_s", [0.0, 0.02])
@pytest.mark.parametrize("size", [40, 100_000])
def test_answer_with_bytes_after_it_gives_them_to_nobody(three_active: Bench, pause_s: float, size: int) -> None:
    """What a predictor sends beyond its answer, before it has the next request, is thrown away with the connection.

    Bytes that arrive once the next request is on the same connection cannot be told from its answer.
    """
    adds = Adds(encoded(200, b'{"predictor": "nobody"}') * (size // 40), pause_s)
    three_active.set(adds)
    for number in range(1, 31):
        assert is_whole(ask(three_active.router.url, body=SAMPLE))
        adds.wait_for(number)
    record("bytes after an answer", reached_others=0, of=30)


def test_answer_with_bytes_at_its_end_gives_them_to_nobody_under_load(three_active: Bench) -> None:
    """The same for bytes that arrive with the answer, six clients at a time."""
    three_active.set(Adds(encoded(200, b'{"predictor": "nobody"}') * 3, 0.0))
    with ThreadPoolExecutor(6) as pool:
        assert all(is_whole(answer) for answer in pool.map(lambda _: ask(three_active.router.url), range(60)))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_answer_that_redirects_is_not_followed(three_active: Bench, status: int) -> None:
    """A redirect is an answer like any other: no other address is asked, and the client is not told of one."""
    target = f"http://127.0.0.1:{three_active.stubs[2].port}/predict"
    moved = f"HTTP/1.1 {status} Moved\r\nLocation: {target}\r\nContent-Length: 2\r\n\r\n{{}}"
    three_active.stubs[0].script = three_active.stubs[1].script = sends(moved.encode())
    before = sum(three_active.received)
    heard = [ask(three_active.router.url, body=SAMPLE) for _ in range(3)]
    assert sorted(answer.status for answer in heard) == [200, status, status]
    assert sum(three_active.received) == before + 3
    assert all("location" not in answer.headers for answer in heard)


def test_answer_whole_without_length_is_passed_on(three_active: Bench) -> None:
    """An answer that ends with its connection is whole if it is whole JSON."""
    body = json.dumps({"predictor": "predict1"}).encode()
    three_active.set(sends(OK + b"Connection: close\r\n\r\n" + body))
    assert ask(three_active.router.url, body=SAMPLE).body == body


def wait_at_black_hole_s(router: Router, judge: Judge) -> float:
    """Send twelve at once while predict1's port is dark, then bring it back; returns the longest added wait."""
    judge.go_dark()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        heard = list(pool.map(lambda _: ask(router.url, body=SAMPLE), range(AT_ONCE)))
    with Load(router.url) as load:
        wait_until(lambda: router.predictors("state")[0] == "down")
        judge.go_light()
        back_at_s = time.monotonic()
        wait_until(lambda: load.answered_by("predict1", since_s=back_at_s))
    assert all(is_whole(answer) for answer in heard)
    assert load.lost() == []
    assert router.loads() == [0, 0, 0]
    return max(answer.took_s for answer in heard) - SERVICE_TIME_S


def test_connect_black_hole_is_passed_by_within_the_connect_timeout(stage: Stage) -> None:
    """A port with a full accept queue costs a request the connect timeout, once; then the predictor is out.

    The longest wait holds in one of up to three tries, as other programs share the machine.
    """
    trio = judges(stage, answers_after_service)
    router = stage.router(stage.topology("3active", [judge.port for judge in trio]), "--hold-down", "1")
    waits_s: list[float] = []
    with closing(trio[0]), closing(trio[1]), closing(trio[2]):
        assert {ask(router.url, body=SAMPLE).predictor for _ in range(3)} == {"predict1", "predict2", "predict3"}
        while len(waits_s) < TRIES and min(waits_s, default=PASSED_BY_WITHIN_S) >= PASSED_BY_WITHIN_S:
            waits_s.append(wait_at_black_hole_s(router, trio[0]))
    record("connect black hole", lost=0, of=AT_ONCE * len(waits_s), worst_added_wait_s=round(min(waits_s), 3))
    assert CONNECT_TIMEOUT_S <= min(waits_s) < PASSED_BY_WITHIN_S
