"""Predictors whose health checks pass and whose answers are no answers; what floods is in test_fault_floods.py."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.harness.deployment import Deployment
from tests.harness.load import SERVICE_TIME_S
from tests.harness.measurements import record
from tests.harness.misbehaviour import OK, Adds, drips, resets_after, silent
from tests.harness.misbehaviour import OK_CHUNKED as CHUNKED
from tests.harness.stage import Stage
from tests.harness.stubs import Script, StubPredictor, answers, encoded, resets, sends
from tests.harness.waiting import wait_until

CONNECT_TIMEOUT_S = 0.5
PASSED_BY_WITHIN_S = CONNECT_TIMEOUT_S + 0.2
AT_ONCE = 12
TRIES = 3  # of which the best counts: other programs share the machine
DEADLINE_S = 2.0
SHARE_S = DEADLINE_S / 2  # what a request waits on its first predictor while another has room
QUICK_S = 0.02
SLACK_S = 0.6  # what a busy machine may add to a time that is measured once
HALF = b'{"predictor": "predict1", "prob'


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
    "silent": silent,
    "byte_a_second": drips(encoded(200, HALF)),
    "body_byte_a_second": drips(HALF, at_once=of_length("60", body=b"")),
    "hundreds_of_continue": drips(b"HTTP/1.1 100 Continue\r\n\r\n" * 40, 0.01),
}
"""Answers that never come to an end and never are wrong."""


@pytest.fixture(scope="module")
def shared(shared_stage: Stage) -> Deployment:
    """One router before three actives, for all tests of the module."""
    options = ("--deadline", str(DEADLINE_S), "--hold-down", "0.2")
    return shared_stage.deploy("3active", *options, service_time_s=QUICK_S)


@pytest.fixture
def three_active(shared: Deployment) -> Iterator[Deployment]:
    """The shared router, which must serve after each test as before."""
    yield shared
    shared.assert_serves(answers(delay_s=QUICK_S))


def fetch_until_met(three_active: Deployment, stub: StubPredictor) -> float:
    """Sends requests one after the other until one has met this stub; all are answered whole; the longest wait."""
    worst_s, seen = 0.0, len(stub.received)
    while len(stub.received) == seen:
        answer = three_active.fetch()
        assert answer.is_whole, answer
        worst_s = max(worst_s, answer.took_s)
    return worst_s - QUICK_S


@pytest.mark.parametrize("name", [*UNUSABLE, *SLOW])
def test_answer_that_is_none_from_one_is_given_by_another(three_active: Deployment, name: str) -> None:
    """No unusable answer reaches the client, at once, nor one without end, left at half the deadline: another does."""
    bad = three_active.stubs[0]
    bad.script = (UNUSABLE | SLOW)[name]
    added_wait_s = fetch_until_met(three_active, bad)
    assert added_wait_s < SHARE_S + SLACK_S
    assert name in UNUSABLE or added_wait_s >= SHARE_S - QUICK_S
    kind = "unusable answer" if name in UNUSABLE else "answer without end"
    record(f"{kind} from one of three: {name}", lost=0, of=1, worst_added_wait_s=round(added_wait_s, 3))


@pytest.mark.parametrize("name", UNUSABLE)
def test_answer_unusable_from_all_is_502(three_active: Deployment, name: str) -> None:
    """Where only unusable answers come, the client hears so after two attempts, and nobody is ejected for it."""
    three_active.set(UNUSABLE[name])
    events, sent = three_active.router.snapshot()["events"], sum(three_active.received)
    refused = three_active.router.snapshot()["refused"]["bad_answer"]
    answer = three_active.fetch()
    assert answer.refusal() == (502, "bad_answer")
    assert three_active.router.snapshot()["refused"]["bad_answer"] == refused + 1
    assert answer.took_s < SHARE_S + SLACK_S
    assert sum(three_active.received) == sent + 2
    assert three_active.router.snapshot()["events"] == events
    record(f"unusable answers from all: {name}", status=answer.status, answered_after_s=round(answer.took_s, 3))


@pytest.mark.parametrize("name", SLOW)
def test_answer_without_end_from_all_is_504(three_active: Deployment, name: str) -> None:
    """Where no answer comes to its end, the client hears so at the deadline."""
    three_active.set(SLOW[name])
    answer = three_active.fetch()
    assert answer.refusal() == (504, "timeout")
    assert DEADLINE_S <= answer.took_s < DEADLINE_S + SLACK_S
    record(f"answers without end from all: {name}", status=answer.status, answered_after_s=round(answer.took_s, 3))


@pytest.mark.parametrize("pause_s", [0.0, 0.02])
@pytest.mark.parametrize("size", [40, 100_000])
def test_answer_with_bytes_after_it_gives_them_to_nobody(three_active: Deployment, pause_s: float, size: int) -> None:
    """What comes beyond an answer, before the next request is on the connection, is thrown away with that."""
    adds = Adds(encoded(200, b'{"predictor": "nobody"}') * (size // 40), pause_s)
    three_active.set(adds)
    for number in range(1, 31):
        assert three_active.fetch().is_whole
        adds.wait_for(number)
    record("bytes after an answer", reached_others=0, of=30)


def test_answer_with_bytes_at_its_end_gives_them_to_nobody_under_load(three_active: Deployment) -> None:
    """The same for bytes that arrive with the answer, six clients at a time."""
    three_active.set(Adds(encoded(200, b'{"predictor": "nobody"}') * 3, 0.0))
    assert all(answer.is_whole for answer in three_active.fetch_at_once(60, clients=6, body=None))


def test_answer_whole_without_length_is_passed_on(three_active: Deployment) -> None:
    """An answer that ends with its connection is whole if it is whole JSON."""
    body = json.dumps({"predictor": "predict1"}).encode()
    three_active.set(sends(OK + b"Connection: close\r\n\r\n" + body))
    assert three_active.fetch().body == body


def wait_at_black_hole_s(deployed: Deployment) -> float:
    """Sends twelve at once while predict1's port is dark, then brings it back; returns the longest added wait."""
    deployed.stubs[0].stop_accepting()
    heard = deployed.fetch_at_once(AT_ONCE)
    with deployed.load() as load:
        wait_until(lambda: deployed.router.predictors("state")[0] == "down")
        deployed.stubs[0].accept_again()
        back_at_s = time.monotonic()
        wait_until(lambda: load.answered_by("predict1", since_s=back_at_s))
    assert all(answer.is_whole for answer in heard)
    assert load.lost() == []
    assert deployed.router.loads() == [0, 0, 0]
    return max(answer.took_s for answer in heard) - SERVICE_TIME_S


def test_connect_black_hole_is_passed_by_within_the_connect_timeout(stage: Stage) -> None:
    """A port with a full accept queue costs a request the connect timeout, once; then the predictor is out."""
    deployed = stage.deploy("3active", "--hold-down", "1", service_time_s=SERVICE_TIME_S)
    assert {deployed.fetch().predictor for _ in range(3)} == {"predict1", "predict2", "predict3"}
    waits_s: list[float] = []
    while len(waits_s) < TRIES and min(waits_s, default=PASSED_BY_WITHIN_S) >= PASSED_BY_WITHIN_S:
        waits_s.append(wait_at_black_hole_s(deployed))
    record("connect black hole", lost=0, of=AT_ONCE * len(waits_s), worst_added_wait_s=round(min(waits_s), 3))
    assert CONNECT_TIMEOUT_S <= min(waits_s) < PASSED_BY_WITHIN_S
