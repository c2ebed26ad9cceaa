"""The counters: `load` in the live file and on the admin port, after every way a request can end."""

import itertools
import socket
import time
from collections.abc import Iterator

import pytest

from tests.harness.deployment import Deployment
from tests.harness.file_watch import FileWatch
from tests.harness.http_client import fetch
from tests.harness.misbehaviour import OK
from tests.harness.stage import Stage
from tests.harness.stubs import Script, StubPredictor, answers, resets, sends
from tests.harness.waiting import wait_until

DEADLINE_S = 2.0
WRITES_PER_S = 20
READS_PER_S = 200
LEAST_READS = 500
LEAST_WRITES = 3 * WRITES_PER_S
SWARM_DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def running(shared_stage: Stage) -> Deployment:
    """One router for all ways to end."""
    return shared_stage.deploy("single", "--deadline", str(DEADLINE_S), number=1)


@pytest.fixture
def single(running: Deployment) -> Iterator[Deployment]:
    """The router with its predictor well, idle, and answering."""
    yield running
    running.stubs[0].script = answers()
    running.release_held()
    wait_until(lambda: fetch(running.url, "/health").status == 200)
    assert_idle(running)


def loads_everywhere(single: Deployment) -> tuple[int, int]:
    """The predictor's load in the file and on the admin port."""
    return single.loads()[0], single.router.loads()[0]


def assert_idle(single: Deployment) -> None:
    """Checks that nothing is counted any more, and that all capacity is there to be used."""
    wait_until(lambda: loads_everywhere(single) == (0, 0), deadline_s=5.0)
    assert single.fetch(None).status == 200


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        (answers(200), 200, None),
        (answers(400, b'{"error": "bad input"}'), 400, None),
        (answers(415, b'{"error": "bad type"}'), 415, None),
        (answers(500, b'{"error": "broken"}'), 500, None),
        (answers(503, b'{"error": "busy"}'), 503, None),
        (answers(302, b"{}"), 302, None),
        (resets, 502, "bad_answer"),
        (sends(b""), 502, "bad_answer"),
        (sends(b"This is not HTTP.\r\n\r\n"), 502, "bad_answer"),
        (sends(OK + b"Content-Length: 100\r\n\r\n{"), 502, "bad_answer"),
        (sends(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 502, "bad_answer"),
        (sends(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "), 502, "bad_answer"),
    ],
    ids=[
        *("200", "400", "415", "500", "503", "302"),
        *("reset", "closed", "not_http", "cut_short", "bad_chunk", "two_lengths"),
    ],
)
def test_load_after_the_predictor_has_ended_the_request_is_zero(
    single: Deployment, script: Script, status: int, reason: str | None
) -> None:
    """Three requests in flight are counted as three, and as none once the predictor ends them, however it does."""
    single.set(script)
    sent = single.hold(3)
    wait_until(lambda: loads_everywhere(single) == (3, 3), deadline_s=DEADLINE_S)
    single.release_held()
    heard = [exchange.answer() for exchange in sent]
    assert [answer.status for answer in heard] == [status] * 3
    assert reason is None or [answer.json()["reason"] for answer in heard] == [reason] * 3
    single.set(answers())
    assert_idle(single)


def test_load_after_the_deadline_is_zero(single: Deployment) -> None:
    """A request that is given up with 504 gives its slot back, though its predictor still has it."""
    sent = single.hold(3)
    wait_until(lambda: loads_everywhere(single) == (3, 3), deadline_s=DEADLINE_S)
    heard = [exchange.answer() for exchange in sent]
    assert {answer.refusal() for answer in heard} == {(504, "timeout")}
    assert {answer.predictor for answer in heard} == {""}
    assert all(answer.took_s >= DEADLINE_S for answer in heard)
    assert min(answer.took_s for answer in heard) < DEADLINE_S + 0.5
    assert single.router.snapshot()["refused"]["timeout"] == 3
    single.stubs[0].holding = False
    assert_idle(single)


def test_load_after_all_endings_at_once_is_zero(stage: Stage) -> None:
    """Good answers, errors, resets, a predictor that goes down and clients that vanish, all mixed: 0 at the end."""
    deployed = stage.deploy("3active", "--deadline", str(DEADLINE_S), "--hold-down", "0")
    turns = itertools.cycle(
        [answers(), answers(500), resets, answers(400), sends(OK), answers(delay_s=DEADLINE_S + 0.5)]
    )

    def in_turn(stub: StubPredictor, connection: socket.socket) -> None:
        next(turns)(stub, connection)

    deployed.set(in_turn)
    with deployed.load(rate_per_s=40) as load:
        wait_until(lambda: len(load.answers) >= 20)
        deployed.stubs[1].go_down()
        deployed.send(3)[0].close()
        wait_until(lambda: len(load.answers) >= 40)
        deployed.stubs[1].go_up()
        wait_until(lambda: len(load.answers) >= 60)
    assert {answer.status for answer in load.answers} <= {200, 400, 500, 502, 503, 504}
    deployed.set(answers())
    deployed.wait_until_initial()


def test_file_read_during_a_swarm_is_always_valid_and_rarely_written(stage: Stage) -> None:
    """200 reads a second meet no invalid JSON and no impossible load; the file is written 20 times a second at most.

    The swarm is larger than the slots, and an operator changes a status up to 50 times a second besides. Of 21 writes
    in a row the last comes a second after the first; where the machine holds up the first, it seems less, so the
    shortest tenth of these times is left out. The rule itself is tested in tests/unit/routing/test_state_writer.py.
    """
    deployed = stage.deploy("3active", "--threshold", "2", service_time_s=0.05)
    router, end_s = deployed.router, time.monotonic() + SWARM_DEADLINE_S
    with FileWatch(deployed.path, READS_PER_S) as watch, deployed.closed_loop(8) as load:
        for number, order in enumerate(itertools.cycle(("drain", "ready"))):  # each to be written at once
            assert router.order("predict3", order).status == 200
            if watch.reads >= LEAST_READS and min(len(watch.written_at_s), number) > LEAST_WRITES:
                break
            assert time.monotonic() < end_s
            time.sleep(0.02)
    assert {answer.status for answer in load.answers} == {200, 503}
    assert watch.bad == []
    assert watch.loads == {0, 1, 2}
    spans_s = [b - a for a, b in zip(watch.written_at_s, watch.written_at_s[WRITES_PER_S:], strict=False)]
    assert sorted(spans_s)[len(spans_s) // 10] > 0.95  # the clock of a file system is not exact
    router.order("predict3", "ready")
    deployed.wait_until_initial()
