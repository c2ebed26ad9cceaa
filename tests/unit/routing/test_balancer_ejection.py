"""The balancer's rules: who leaves the rotation and comes back, drain and ready, and the events of all that."""

import pytest

from routing.events import EVENTS_KEPT
from tests.unit.routing.balancers import balancer_of, new_events, play, reserve, sequence, serving

ALWAYS = 20 * "a"
ROTATION = {
    "two failed answers do not eject": ("ab", "0 fail aa -> ab"),
    "a good answer ends the row": ("ab", "0 fail aa, 0 answered a, 0 fail aa -> ab"),
    "the last in rotation stays whatever it answers": ("ab", f"0 eject b, 0 fail {ALWAYS} -> a"),
    "a waiting standby is not in rotation: the only active stays": ("a+s", f"0 fail {ALWAYS} -> a"),
    "an active out for its answers is replaced": ("ab+c", "0 fail bbb -> ac"),
    "flapping waits until a hold-down after its last return": (
        "ab", "9 eject a, 10 readmit a, 11 eject a, 14.9 readmit a -> b, 15 readmit a -> ab"
    ),
    "flapping returns at once when nobody serves": (
        "ab", "9 eject a, 10 readmit a, 11 eject a, 11 eject b, 11.5 readmit a -> a"
    ),
    "out for its answers waits a hold-down: probes see no 5xx": (
        "ab", "20 fail aaa, 24.9 readmit a -> b, 25 readmit a -> ab"
    ),
    "a return clears the row of failures": ("ab", "0 fail aaa, 10 readmit a, 10 fail aa -> ab"),
    "planned work clears the row of failures": ("ab", "0 fail aa, 0 drain a, 1 ready a, 1 fail aa -> ab"),
    "ready does not overrule the health checks": (
        "ab", "0 drain a, 1 eject a, 2 ready a -> b, 3 readmit a -> ab"
    ),
    "a drained standby is not promoted until ready": ("ab+s", "0 drain s, 1 eject a -> b, 2 ready s -> bs"),
    "a promoted standby that is drained is replaced": ("a+st", "0 eject a, 1 drain s -> t"),
}  # fmt: skip
EVENTS = {
    "a first failure returns at once": ("ab", "100 eject a, 100.5 readmit a -> ab", "ejected a, readmitted a"),
    "health checks that go on passing are no event": ("ab+s", "1 readmit a, 1 readmit s", ""),
    "a standby fails and recovers outside the rotation": (
        "ab+s", "0 eject s -> ab, 1 readmit s -> ab", "failed s, recovered s"
    ),
    "ready puts back at once, the standby steps back after the hold-down": (
        "ab+c", "0 drain a, 30 ready a -> abc, 35 tick -> ab", "drained a, promoted c, ready a, demoted c"
    ),
    "an order that is carried out already is no event": (
        "ab", "0 ready a, 1 drain a, 2 drain a, 3 ready a, 4 ready a", "drained a, ready a"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pool", "script"), ROTATION.values(), ids=ROTATION)
def test_rotation_after_failures_returns_and_orders(pool: str, script: str) -> None:
    """After each step exactly those are in rotation that should be."""
    play(pool, script)


@pytest.mark.parametrize(("pool", "script", "events"), EVENTS.values(), ids=EVENTS)
def test_events_after_failures_returns_and_orders(pool: str, script: str, events: str) -> None:
    """Each change is one event, and what changes nothing is none."""
    assert new_events(play(pool, script)) == events


def test_answer_failed_third_in_a_row_ejects_with_its_reason() -> None:
    """The event says when, and what the last answer was."""
    balancer = play("ab", "0 fail aa")
    balancer.answer_failed("a", 2.0, "answered 502")
    assert serving(balancer) == "b"
    event = balancer.events[-1]
    assert event[:3] == (2.0, "ejected", "a")
    assert "3 failed answers" in event.reason
    assert "answered 502" in event.reason


def test_answers_are_counted_good_and_failed() -> None:
    """A good answer ends a row of failures and takes nothing off their number."""
    predictor = play("ab", "0 fail aa, 0 answered a, 0 fail aa").predictors["a"]
    assert (predictor.served, predictor.failed) == (1, 4)


def test_answer_failed_without_blame_never_ejects() -> None:
    """Failures that were the request's fault are counted and never eject, nor do they belong to a row."""
    balancer = balancer_of("ab")
    for number in range(22):
        balancer.answer_failed("a", 0.0, "answered 500", blame=number >= 20)
    assert serving(balancer) == "ab"
    assert balancer.predictors["a"].failed == 22


def test_eject_twice_counts_once() -> None:
    """The return says whether it was up until now; a second report changes nothing."""
    balancer = balancer_of("ab")
    assert balancer.eject("a", 0.0, "connection refused")
    assert not balancer.eject("a", 1.0, "connection refused")
    assert new_events(balancer) == "ejected a"


@pytest.mark.parametrize(
    ("script", "state"), [("0 eject s", "down"), ("0 eject s, 1 readmit s", "standby"), ("0 tick", "standby")]
)
def test_state_of_a_standby_outside_the_rotation(script: str, state: str) -> None:
    """A standby that recovers is ready again."""
    assert play("ab+s", script).predictors["s"].state == state


def test_drain_lets_requests_in_flight_end() -> None:
    """A drained predictor gets nothing new; its state says when the last request has ended."""
    balancer = balancer_of("ab")
    slots = reserve(balancer, 2)
    balancer.drain("a", 0.0)
    assert balancer.predictors["a"].state == "draining"
    assert sequence(balancer, 3) == "bbb"
    balancer.release(slots[0], 1.0)
    assert balancer.predictors["a"].state == "drained"


def test_readmit_drained_predictor_stays_out() -> None:
    """Health checks do not overrule the operator."""
    balancer = play("ab", "0 drain a, 1 eject a")
    assert balancer.readmit("a", 2.0)
    assert (serving(balancer), balancer.predictors["a"].state) == ("b", "drained")
    balancer.ready("a", 3.0)
    assert serving(balancer) == "ab"


@pytest.mark.parametrize("order", ["drain", "ready"])
def test_drain_and_ready_unknown_name_raises(order: str) -> None:
    """An unknown name is a KeyError."""
    with pytest.raises(KeyError):
        getattr(balancer_of("a"), order)("x", 0.0)


def test_events_of_a_failover_tell_time_and_reason() -> None:
    """Every change says when, what, who and why, oldest first."""
    assert list(play("ab+c", "1 eject a, 2 readmit a, 7 tick").events) == [
        (1.0, "ejected", "a", "no answer"),
        (1.0, "promoted", "c", "a is down"),
        (2.0, "readmitted", "a", "health checks pass"),
        (7.0, "demoted", "c", "all actives are back"),
    ]


def test_pop_new_events_gives_each_once() -> None:
    """An event is fresh once; the history keeps it."""
    balancer = play("ab", "0 drain a")
    assert (new_events(balancer), new_events(balancer)) == ("drained a", "")
    assert len(balancer.events) == 1


def test_events_are_kept_up_to_a_bound() -> None:
    """The history forgets the oldest events, so it cannot grow for ever."""
    balancer = balancer_of("ab")
    for number in range(EVENTS_KEPT):
        balancer.drain("a", float(number))
        balancer.ready("a", float(number))
        balancer.pop_new_events()
    assert len(balancer.events) == EVENTS_KEPT
    assert balancer.events[-1].time_s == EVENTS_KEPT - 1


def test_states_of_a_new_balancer_follow_the_plan() -> None:
    """At first actives serve, standbys wait, and nothing has happened."""
    balancer = balancer_of("ab", "c")
    assert [p.state for p in balancer.predictors.values()] == ["serving", "serving", "standby"]
    assert list(balancer.events) == []
