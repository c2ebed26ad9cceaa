"""Predictors whose health checks pass and whose answers never end and come fast: the router must keep its head."""

import time

import pytest

from tests.harness.deployment import Deployment
from tests.harness.load import SERVICE_TIME_S
from tests.harness.measurements import record
from tests.harness.misbehaviour import OK, floods
from tests.harness.misbehaviour import OK_CHUNKED as CHUNKED
from tests.harness.processes import PeakMemory
from tests.harness.stage import Stage
from tests.harness.stubs import Script, answers
from tests.harness.waiting import wait_until

DEADLINE_S = 2.0
SHARE_S = DEADLINE_S / 2  # what a request waits on its first predictor while another has room
SLACK_S = 0.6  # what a busy machine may add to a time that is measured once
LARGEST_ANSWER_MIB = 16  # that the router takes in
MEETING_AT_ONCE = 5  # requests that meet the one that floods before it is out
ROUNDS = 2
AT_ONCE = 10

FLOODS: dict[str, Script] = {
    "one_endless_header": floods(OK + b"X-Endless: ", b"x"),
    "endlessly_many_headers": floods(OK, b"X-Many: yes\r\n"),
    "endless_status_line": floods(b"HTTP/1.1 200 ", b"O"),
    "endless_chunk_size": floods(CHUNKED, b"0"),
    "declared_huge": floods(OK + b"Content-Length: 1000000000000\r\n\r\n", b"x"),
    "endless_chunks": floods(CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n"),
    "endless_tiny_chunks": floods(CHUNKED, b"1\r\nx\r\n"),
    "endless_without_length": floods(OK + b"\r\n", b"x"),
    "endless_trailers": floods(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Trailer: yes\r\n"),
    "endless_continue": floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless_continue_with_headers": floods(b"", b"HTTP/1.1 100 Continue\r\nX-Own: yes\r\n\r\n"),
}
LARGE = ("declared_huge", "endless_chunks", "endless_without_length", "endlessly_many_headers")


def three_active(stage: Stage) -> Deployment:
    """A router before three actives, with a short deadline."""
    return stage.deploy("3active", "--deadline", str(DEADLINE_S), "--hold-down", "1", service_time_s=SERVICE_TIME_S)


@pytest.fixture(scope="module")
def shared(shared_stage: Stage) -> Deployment:
    """One router for all tests whose memory is not what is looked at."""
    return three_active(shared_stage)


@pytest.mark.parametrize("name", FLOODS)
def test_flood_from_one_keeps_nobody_waiting(shared: Deployment, name: str) -> None:
    """While one predictor floods, every request is answered whole, and only those that met it wait, bounded."""
    shared.assert_serves()
    earlier = shared.received[0]
    shared.set(FLOODS[name], 0)
    with PeakMemory(shared.router.pid) as memory, shared.load(rate_per_s=24.0, longest_s=10.0) as load:
        wait_until(lambda: shared.received[0] > earlier)
        met_at_s = time.monotonic()
        wait_until(lambda: len([answer for answer in load.answers if answer.sent_at_s > met_at_s]) > 12)
    worst_s = load.slowest_s() - SERVICE_TIME_S
    figures = {"lost": len(load.lost()), "of": len(load.answers), "worst_added_wait_s": round(worst_s, 3)}
    record(f"flood from one of three: {name}", **figures, peak_memory_growth_mib=memory.peak_growth_mib)
    assert load.lost() == []
    assert all(answer.is_whole for answer in load.answers)
    assert worst_s < SHARE_S + SLACK_S
    assert memory.peak_growth_mib < 2 * MEETING_AT_ONCE * LARGEST_ANSWER_MIB
    shared.assert_serves()


@pytest.mark.parametrize("name", FLOODS)
def test_flood_from_all_is_refused_by_the_deadline(shared: Deployment, name: str) -> None:
    """Where every predictor floods, the client hears 502 or 504 by its deadline, and the router serves on."""
    shared.set(FLOODS[name])
    answer = shared.fetch()
    record(f"flood from all: {name}", status=answer.status, answered_after_s=round(answer.took_s, 3))
    assert answer.refusal() in [(502, "bad_answer"), (504, "timeout")]
    assert answer.took_s < DEADLINE_S + SLACK_S
    assert shared.router.loads() == [0, 0, 0]
    shared.set(answers())
    assert shared.fetch().is_whole


@pytest.mark.parametrize("name", LARGE)
def test_flood_of_ten_at_once_leaves_memory_bounded(stage: Stage, name: str) -> None:
    """Ten endless answers at once cost twice what ten of the largest size cost, and rounds do not add up."""
    deployed = three_active(stage)
    deployed.set(FLOODS[name])
    with PeakMemory(deployed.router.pid) as memory:
        heard = deployed.fetch_at_once(ROUNDS * AT_ONCE, AT_ONCE)
    record(f"ten floods at once: {name}", peak_growth_mib=memory.peak_growth_mib, growth_after_mib=memory.growth_mib)
    assert {answer.status for answer in heard} <= {502, 504}
    assert memory.peak_growth_mib < (2 * AT_ONCE + 1) * LARGEST_ANSWER_MIB
