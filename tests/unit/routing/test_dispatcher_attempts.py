"""A request's way over predictors that answer, fail, or are not there: where it is sent, and who is blamed."""

import time
from collections.abc import Callable

import pytest
from gevent.event import Event

from routing.balancer import DownError, SaturatedError
from routing.dispatcher import BadAnswerError, TimedOutError
from routing.upstream.errors import (
    NoConnection,
    OutOfSockets,
    UpstreamError,
)
from tests.unit.routing.dispatchers import (
    MAX_ERRORS,
    MakeBench,
    Step,
    hang,
    refused,
    reset,
    unusable,
    waits_for,
)

# One predictor answers


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 422])
def test_send_answer_below_500_is_passed_on(bench: MakeBench, status: int) -> None:
    """A predictor's answer is the client's, its 4xx too, and counts as served."""
    one = bench(a=[status], b=[200])
    answer = one.send()
    assert (answer.status, answer.predictor) == (status, "a")
    assert one.asked() == "a"
    assert one.counts("a") == (1, 0, 0)


def test_send_one_after_the_other_goes_round_robin(bench: MakeBench) -> None:
    """Requests on an idle pool are answered by a, b, c, a."""
    one = bench(a=[200], b=[200], c=[200])
    assert "".join(one.send().predictor for _ in range(4)) == "abca"


def test_send_in_flight_counts_until_the_answer(bench: MakeBench) -> None:
    """A request counts where it waits, and no longer; each change is told."""
    answers = Event()
    one = bench(a=[waits_for(answers)], b=[200])
    sending = one.start()
    assert (one.loads(), one.dispatcher.requests_in_flight()) == ([1, 0], 1)
    before = one.changes
    assert before > 0
    answers.set()
    assert sending.get().status == 200
    assert one.loads() == [0, 0]
    assert one.changes > before


def test_send_first_on_kept_connections_again_on_fresh_ones(bench: MakeBench) -> None:
    """The second predictor is asked over a new connection: a kept one may have died of the same cause."""
    one = bench(a=[reset(), 200], b=[200])
    one.send()
    one.send()
    assert one.upstreams["b"].fresh == [True]
    assert one.upstreams["a"].fresh == [False, False]


# 5xx


def test_send_5xx_then_200_gives_200_and_blames_the_first(bench: MakeBench) -> None:
    """The client sees the good answer only; the predictor that failed is blamed."""
    one = bench(a=[500], b=[200])
    answer = one.send()
    assert (answer.status, answer.predictor) == (200, "b")
    assert one.counts("a") == (0, 1, 1)
    assert one.counts("b") == (1, 0, 0)


def test_send_three_5xx_in_a_row_eject(bench: MakeBench) -> None:
    """After three blamed answers the predictor is out, and no client noticed."""
    one = bench(a=[503], b=[200])
    while one.counts("a")[1] < MAX_ERRORS:
        assert one.send().status == 200
    assert one.up() == "b"
    assert one.balancer.events[-1].event == "ejected"


def test_send_two_5xx_are_passed_on_and_nobody_is_blamed(bench: MakeBench) -> None:
    """If a second predictor fails on it too, it is the request's fault: however often, nobody is ejected."""
    one = bench(a=[500], b=[502], c=[200])
    answer = one.send()
    assert (answer.status, answer.predictor) == (502, "b")
    assert one.asked() == "ab"
    assert [one.counts(name) for name in "abc"] == [(0, 1, 0), (0, 1, 0), (0, 0, 0)]


def test_send_poison_request_never_ejects(bench: MakeBench) -> None:
    """A request that every predictor fails on, sent again and again, takes nobody out."""
    one = bench(a=[500], b=[500], c=[500])
    assert {one.send().status for _ in range(20)} == {500}
    assert one.up() == "abc"


def test_send_5xx_of_the_only_predictor_is_passed_on(bench: MakeBench) -> None:
    """With nobody else to ask, the 5xx is the answer; the last in rotation is never ejected for it."""
    one = bench(a=[500])
    assert {one.send().status for _ in range(MAX_ERRORS + 2)} == {500}
    assert one.up() == "a"


def test_send_5xx_with_the_others_full_is_passed_on(bench: MakeBench) -> None:
    """No room elsewhere: the client gets the predictor's own answer, not a refusal."""
    answers = Event()
    one = bench({"capacity": 1}, b=[waits_for(answers)], a=[500])
    waiting = one.start()
    assert one.send().status == 500
    assert one.dispatcher.refused == {}
    answers.set()
    assert waiting.get().status == 200


# Never sent


def test_send_refused_ejects_and_goes_on(bench: MakeBench) -> None:
    """A refused connection takes the predictor out at once; the request is answered by the next."""
    one = bench(a=[refused()], b=[200])
    assert one.send().predictor == "b"
    assert one.up() == "b"
    assert one.balancer.events[-1].reason == "connection refused"
    assert one.send().predictor == "b"
    assert one.asked() == "abb"


def test_send_never_sent_goes_to_each_predictor_once(bench: MakeBench) -> None:
    """What was never sent may go on as long as there is somebody new, each predictor once."""
    one = bench(a=[NoConnection("no connection")], b=[refused()], c=[NoConnection("no connection")], d=[200])
    assert one.send().predictor == "d"
    assert one.asked() == "abcd"


def test_send_refused_everywhere_is_down(bench: MakeBench) -> None:
    """Nobody listens anywhere: the refusal says down, and is counted."""
    one = bench(a=[refused()], b=[refused()], c=[refused()])
    with pytest.raises(DownError):
        one.send()
    assert one.asked() == "abc"
    assert one.dispatcher.refused == {"down": 1}


def test_send_no_connection_is_blamed_but_not_ejected_at_once(bench: MakeBench) -> None:
    """A connection that is not made in time may be a full backlog: it counts like a failed answer."""
    one = bench(a=[NoConnection("no connection")], b=[200])
    one.send()
    assert one.up() == "ab"
    assert one.counts("a") == (0, 1, 1)


def test_send_out_of_sockets_blames_nobody(bench: MakeBench) -> None:
    """That the router itself has no socket left is no predictor's fault."""
    one = bench(a=[OutOfSockets("the router cannot open a connection")])
    for _ in range(MAX_ERRORS + 1):
        with pytest.raises((DownError, SaturatedError)):
            one.send()
    assert one.up() == "a"
    assert one.counts("a") == (0, 0, 0)


def test_send_never_sent_then_reset_still_has_its_second_try(bench: MakeBench) -> None:
    """A refused connection was no try: reset after it, the request goes to one more predictor."""
    one = bench(a=[refused()], b=[reset()], c=[200])
    assert one.send().predictor == "c"


# Sent and lost


@pytest.mark.parametrize("failure", [reset, unusable])
def test_send_lost_goes_once_to_another(bench: MakeBench, failure: Callable[[], UpstreamError]) -> None:
    """A request whose connection broke is answered by another predictor; the first is blamed."""
    one = bench(a=[failure()], b=[200])
    assert one.send().predictor == "b"
    assert one.counts("a") == (0, 1, 1)


@pytest.mark.parametrize("failure", [reset, unusable])
def test_send_lost_twice_is_a_bad_answer(bench: MakeBench, failure: Callable[[], UpstreamError]) -> None:
    """Lost a second time the request goes nowhere else: it may itself be what brings them down."""
    one = bench(a=[failure()], b=[failure()], c=[200])
    with pytest.raises(BadAnswerError):
        one.send()
    assert one.asked() == "ab"
    assert one.dispatcher.refused == {"bad_answer": 1}


def test_send_lost_of_the_only_predictor_is_a_bad_answer(bench: MakeBench) -> None:
    """Nobody else is there: 502 tells that an unusable answer came, not that nobody is up."""
    one = bench(a=[reset()])
    with pytest.raises(BadAnswerError):
        one.send()


def test_send_reset_has_the_predictor_probed_now(bench: MakeBench) -> None:
    """A broken connection is a reason to look at once, an unusable answer is not."""
    one = bench(a=[reset()], b=[unusable()])
    with pytest.raises(BadAnswerError):
        one.send()
    assert one.suspects == ["a"]


@pytest.mark.parametrize("order", ["5xx first", "5xx second"])
def test_send_5xx_and_reset_gives_the_5xx(bench: MakeBench, order: str) -> None:
    """An answer, even a 5xx, is better than none."""
    steps: list[Step] = [500, reset()] if order == "5xx first" else [reset(), 500]
    one = bench(a=[steps[0]], b=[steps[1]])
    assert one.send().status == 500


# --no-resend


@pytest.mark.parametrize("failure", [reset, unusable])
def test_send_no_resend_lost_is_a_bad_answer(bench: MakeBench, failure: Callable[[], UpstreamError]) -> None:
    """Without re-sending, what may have run is not sent again."""
    one = bench({"resend": False}, a=[failure()], b=[200])
    with pytest.raises(BadAnswerError):
        one.send()
    assert one.asked() == "a"


def test_send_no_resend_5xx_is_passed_on(bench: MakeBench) -> None:
    """Without re-sending, a 5xx is the answer, and the predictor is blamed."""
    one = bench({"resend": False}, a=[500], b=[200])
    assert one.send().status == 500
    assert one.counts("a") == (0, 1, 1)


def test_send_no_resend_never_sent_goes_on(bench: MakeBench) -> None:
    """Without re-sending, what was never sent still goes to the others."""
    one = bench({"resend": False}, a=[refused()], b=[NoConnection("no connection")], c=[200])
    assert one.send().predictor == "c"


# The deadline


def test_send_no_answer_by_the_deadline_times_out(bench: MakeBench) -> None:
    """At its deadline the request is given up, its slot is back and the exchange is ended."""
    one = bench({"deadline_s": 0.06}, a=[hang])
    started_s = time.monotonic()
    with pytest.raises(TimedOutError) as error:
        one.send()
    assert time.monotonic() - started_s >= 0.06
    assert error.value.reason == "timeout"
    assert one.dispatcher.refused == {"timeout": 1}


def test_send_first_hangs_second_has_half_the_deadline(bench: MakeBench) -> None:
    """One that hangs costs half of the deadline at most: the rest is left for another predictor."""
    one = bench({"deadline_s": 0.4}, a=[hang], b=[200])
    assert one.send().predictor == "b"
    assert one.counts("a") == (0, 1, 1)


def test_send_both_hang_times_out(bench: MakeBench) -> None:
    """Two that hang use the deadline up, and it is a timeout; a third is not asked."""
    one = bench({"deadline_s": 0.08}, a=[hang], b=[hang], c=[200])
    with pytest.raises(TimedOutError):
        one.send()
    assert one.asked() == "ab"


def test_send_no_resend_has_the_whole_deadline(bench: MakeBench) -> None:
    """Without re-sending, the first predictor may use all the time there is."""
    one = bench({"deadline_s": 0.08, "resend": False}, a=[hang], b=[200])
    started_s = time.monotonic()
    with pytest.raises(TimedOutError):
        one.send()
    assert time.monotonic() - started_s >= 0.08
    assert one.asked() == "a"


def test_send_refused_after_the_deadline_times_out(bench: MakeBench) -> None:
    """Once the deadline has passed nobody else is asked, even if nothing was sent yet."""
    now_s = [0.0]

    def late() -> int:
        now_s[0] = 50.0
        raise refused()

    one = bench({"clock": lambda: now_s[0], "deadline_s": 10.0}, a=[late], b=[200])
    with pytest.raises(TimedOutError):
        one.send()
    assert one.asked() == "a"


# Refusals, clients that go, defects


def test_send_saturated_is_refused_at_once_and_counted(bench: MakeBench) -> None:
    """No room anywhere: the refusal comes without waiting, and nobody is asked."""
    answers = Event()
    one = bench({"capacity": 1}, a=[waits_for(answers)])
    waiting = one.start()
    with pytest.raises(SaturatedError):
        one.send()
    assert one.dispatcher.refused == {"saturated": 1}
    assert one.asked() == "a"
    answers.set()
    assert waiting.get().status == 200


def test_send_client_gone_gives_the_slot_back(bench: MakeBench) -> None:
    """A client that hangs up leaves no slot taken and no exchange running."""
    one = bench(a=[hang], b=[hang])
    waiting = one.start()
    assert one.loads() == [1, 0]
    waiting.kill()
    assert one.loads() == [0, 0]


@pytest.mark.filterwarnings("ignore")
def test_send_defect_in_an_exchange_gives_the_slot_back(bench: MakeBench, capsys: pytest.CaptureFixture[str]) -> None:
    """Even an error that nobody foresaw costs no slot."""

    def defect() -> int:
        raise ZeroDivisionError

    one = bench(a=[defect])
    with pytest.raises(ZeroDivisionError):
        one.send()
    assert one.loads() == [0]
    assert "ZeroDivisionError" in capsys.readouterr().err
