"""A request's way over predictors that answer, fail, or are not there: where it is sent, and who is blamed."""

import time
import weakref

import pytest

from routing.upstream.errors import OutOfSockets
from tests.unit.routing.dispatchers import WAIT, MakeBench, Step, hang, no_connection, refused, reset, unusable


class Part:
    """What has come of an answer."""


def out_of_sockets() -> int:
    """The router itself has no socket left."""
    raise OutOfSockets("the router cannot open a connection")


# The predictors' steps: the outcome, who was sent the request, and of each the served, failed and blamed
ATTEMPTS: dict[str, tuple[list[Step], str, str, str]] = {
    # an answer, any 4xx too, is the client's
    **{f"{status} is passed on": ([status, 200], f"{status} a", "a", "100 000") for status in (200, 204, 302)},
    **{f"{status} is passed on": ([status, 200], f"{status} a", "a", "100 000") for status in (400, 409, 422)},
    "5xx: another one answers, the first is blamed": ([500, 200], "200 b", "ab", "011 100"),
    "5xx twice: it is the request's fault, nobody is blamed": ([500, 502, 200], "502 b", "ab", "010 010 000"),
    "5xx of the only one": ([500], "500 a", "a", "011"),
    "5xx, then lost: an answer is better than none": ([500, reset], "500 a", "ab", "010 010"),
    "lost, then 5xx: an answer is better than none": ([reset, 500], "500 b", "ab", "010 010"),
    # who does not serve predictions there has failed: the client did not choose the path
    **{f"{status} is the predictor's": ([status, 200], "200 b", "ab", "011 100") for status in (404, 405, 410, 501)},
    "404 everywhere: passed on, nobody is blamed": ([404, 404, 404], "404 b", "ab", "010 010 000"),
    # who is busy has not failed: all others are asked, and the one re-send is still to come
    **{f"{status}: another one is asked": ([status, 200], "200 b", "ab", "000 100") for status in (429, 503)},
    "busy, busy: a third is asked": ([429, 503, 200], "200 c", "abc", "000 000 100"),
    "busy uses up no re-send": ([429, 500, 200], "200 c", "abc", "000 011 100"),
    "5xx, busy: that one is to blame": ([500, 503], "500 a", "ab", "011 000"),
    # what was never sent goes to everybody once
    "never sent goes on": ([no_connection, refused, no_connection, 200], "200 d", "abcd", "011 000 011 100"),
    "refused everywhere": ([refused, refused, refused], "down", "abc", "000 000 000"),
    "out of sockets: no predictor's fault": ([out_of_sockets], "down", "a", "000"),
    "no connection is blamed": ([no_connection, 200], "200 b", "ab", "011 100"),
    "refused was no try: reset after it, one more": ([refused, reset, 200], "200 c", "abc", "000 011 100"),
    # what was sent and lost goes to one more
    "reset: another one answers": ([reset, 200], "200 b", "ab", "011 100"),
    "unusable: another one answers": ([unusable, 200], "200 b", "ab", "011 100"),
    "reset twice: it may be what brings them down": ([reset, reset, 200], "bad_answer", "ab", "010 010 000"),
    "unusable twice": ([unusable, unusable, 200], "bad_answer", "ab", "010 010 000"),
    "reset by the only one: an unusable answer, not nobody up": ([reset], "bad_answer", "a", "011"),
}
WITHOUT_RESEND: dict[str, tuple[list[Step], str, str, str]] = {
    "no resend: reset may have run": ([reset, 200], "bad_answer", "a", "011 000"),
    "no resend: unusable has run": ([unusable, 200], "bad_answer", "a", "011 000"),
    "no resend: 5xx is the answer": ([500, 200], "500 a", "a", "011 000"),
    "no resend: who is busy has not run it": ([503, 429, 200], "200 c", "abc", "000 000 100"),
    "no resend: 404 is the answer": ([404, 200], "404 a", "a", "011 000"),
    "no resend: never sent goes on": ([refused, no_connection, 200], "200 c", "abc", "000 011 100"),
}


@pytest.mark.parametrize(
    ("resend", "upstreams", "outcome", "asked", "counts"),
    [(True, *row) for row in ATTEMPTS.values()] + [(False, *row) for row in WITHOUT_RESEND.values()],
    ids=[*ATTEMPTS, *WITHOUT_RESEND],
)
def test_send_attempts(
    bench: MakeBench, resend: bool, upstreams: list[Step], outcome: str, asked: str, counts: str
) -> None:
    """The client gets the best that could be had; whoever failed alone is blamed; a refusal is counted."""
    one = bench(*upstreams, resend=resend)
    assert (one.outcome(), one.asked(), one.counts()) == (outcome, asked, counts)
    assert one.dispatcher.refused == ({} if " " in outcome else {outcome: 1})


@pytest.mark.parametrize(
    ("upstreams", "outcomes", "up"),
    [
        ([500, 200], {"200 b"}, "b"),
        ([404, 200], {"200 b"}, "b"),
        ([429, 200], {"200 b"}, "ab"),
        ([503], {"503 a"}, "a"),
        ([500, 500, 500], {"500 a", "500 b", "500 c"}, "abc"),
        ([500], {"500 a"}, "a"),
        ([refused, 200], {"200 b"}, "b"),
        ([out_of_sockets], {"down"}, "a"),
    ],
    ids=[
        "three_5xx_eject",
        "three_404_eject",
        "busy_does_not",
        "busy_alone",
        "poison_ejects_nobody",
        "the_last_is_never_ejected",
        "refused_ejects",
        "out_of_sockets",
    ],
)
def test_send_again_and_again(bench: MakeBench, upstreams: list[Step], outcomes: set[str], up: str) -> None:
    """Who fails alone is taken out and no client notices; what is the request's or the router's fault ejects nobody."""
    one = bench(*upstreams)
    assert {one.outcome() for _ in range(20)} <= outcomes
    assert one.up() == up
    assert [event.event for event in one.balancer.events] == ["ejected"] * (len(upstreams) - len(up))


def test_send_busy_everywhere_is_passed_on_and_counted_as_refused(bench: MakeBench) -> None:
    """Each is asked once; the last answer is the client's, and no answer served or failed: the reason is `busy`."""
    one = bench(429, 503, 429)
    assert (one.outcome(), one.asked(), one.counts()) == ("429 c", "abc", "000 000 000")
    assert one.dispatcher.refused == one.counters.refused == {"busy": 1}
    assert one.counters.answers == {}


def test_send_refused_ejects_at_once_for_its_reason(bench: MakeBench) -> None:
    """A refused connection takes the predictor out with the first request; a connection not made in time does not."""
    one = bench(refused, no_connection, 200)
    one.send()
    assert (one.up(), one.balancer.events[-1].reason) == ("bc", "connection refused")


def test_send_in_flight_counts_until_the_answer(bench: MakeBench) -> None:
    """A request counts where it waits, and no longer; each change is told."""
    one = bench(WAIT, 200)
    sending = one.start()
    assert (one.loads(), one.dispatcher.requests_in_flight()) == ([1, 0], 1)
    before = one.changes
    assert before > 0
    one.go.set()
    assert sending.get().status == 200
    assert one.loads() == [0, 0]
    assert one.changes > before


def test_send_first_on_kept_connections_again_on_fresh_ones(bench: MakeBench) -> None:
    """The second predictor is asked over a new connection: a kept one may have died of the same cause."""
    one = bench([reset, 200], 200)
    one.send()
    one.send()
    assert [upstream.fresh for upstream in one.upstreams.values()] == [[False, False], [True]]


def test_send_5xx_with_the_others_full_is_passed_on(bench: MakeBench) -> None:
    """No room elsewhere: the client gets the predictor's own answer, not a refusal."""
    one = bench(WAIT, 500, capacity=1)
    waiting = one.start()
    assert one.send().status == 500
    assert one.dispatcher.refused == {}
    one.go.set()
    assert waiting.get().status == 200


def test_send_reset_has_the_predictor_probed_now(bench: MakeBench) -> None:
    """A broken connection is a reason to look at once, an unusable answer is not."""
    one = bench(reset, unusable)
    one.outcome()
    assert one.suspects == ["a"]


# The deadline


@pytest.mark.parametrize(
    ("upstreams", "options", "outcome", "asked"),
    [
        ([hang], {"deadline_s": 0.06}, "timeout", "a"),
        ([hang, 200], {"deadline_s": 0.4}, "200 b", "ab"),
        ([hang, hang, 200], {"deadline_s": 0.08}, "timeout", "ab"),
        ([hang, 200], {"deadline_s": 0.08, "resend": False}, "timeout", "a"),
    ],
    ids=["only_one", "half_is_left_for_another", "two_use_it_up", "no_resend_all_of_it_for_the_first"],
)
def test_send_hanging_predictor_and_the_deadline(
    bench: MakeBench, upstreams: list[Step], options: dict[str, float], outcome: str, asked: str
) -> None:
    """One that hangs costs half of the deadline at most; at the deadline the request is given up, not before."""
    one = bench(*upstreams, **options)
    started_s = time.monotonic()
    assert (one.outcome(), one.asked()) == (outcome, asked)
    if outcome == "timeout":
        assert time.monotonic() - started_s >= options["deadline_s"]
        assert one.dispatcher.refused == {"timeout": 1}
    else:
        assert one.counts() == "011 100"


def test_send_attempt_that_timed_out_keeps_nothing_of_its_answer(bench: MakeBench) -> None:
    """What a predictor sent until then may be large: it is gone before another one is asked."""
    parts: list[weakref.ref[Part]] = []

    def half_an_answer() -> int:
        part = Part()
        parts.append(weakref.ref(part))
        return hang()

    def asked_next() -> int:
        return 200 if parts[0]() is None else 500

    assert bench(half_an_answer, asked_next, deadline_s=0.1).outcome() == "200 b"


def test_send_another_with_room_at_half_of_the_deadline_is_asked(bench: MakeBench) -> None:
    """What counts is who has room by then, not when the request was sent."""
    one = bench(hang, 200, capacity=1, deadline_s=0.4)
    filling = one.balancer.reserve_at("b", time.monotonic())
    waiting = one.start()
    assert one.loads() == [1, 1]
    one.balancer.release(filling, time.monotonic())
    assert waiting.get().predictor == "b"


def test_send_refused_after_the_deadline_times_out(bench: MakeBench) -> None:
    """Once the deadline has passed nobody else is asked, even if nothing was sent yet."""
    now_s = [0.0]

    def late() -> int:
        now_s[0] = 50.0
        return refused()

    one = bench(late, 200, clock=lambda: now_s[0], deadline_s=10.0)
    assert (one.outcome(), one.asked()) == ("timeout", "a")


# Refusals, clients that go, defects


def test_send_saturated_is_refused_at_once_and_counted(bench: MakeBench) -> None:
    """No room anywhere: the refusal comes without waiting, and nobody is asked."""
    one = bench(WAIT, capacity=1)
    waiting = one.start()
    assert (one.outcome(), one.asked()) == ("saturated", "a")
    assert one.dispatcher.refused == {"saturated": 1}
    one.go.set()
    assert waiting.get().status == 200


def test_send_client_gone_gives_the_slot_back(bench: MakeBench) -> None:
    """A client that hangs up leaves no slot taken and no exchange running."""
    one = bench(hang, hang)
    waiting = one.start()
    assert one.loads() == [1, 0]
    waiting.kill()
    assert one.loads() == [0, 0]


def test_send_defect_in_an_exchange_gives_the_slot_back(bench: MakeBench) -> None:
    """Even an error that nobody foresaw costs no slot."""
    one = bench(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        one.send()
    assert (one.loads(), one.dispatcher.requests_in_flight()) == ([0], 0)
