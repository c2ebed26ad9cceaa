"""The balancer's rules: who leaves the rotation and comes back, drain and ready, and the events of all that."""

import pytest

from routing.balancer import EVENTS_KEPT, DownError
from tests.unit.routing.balancers import (
    MAX_ERRORS,
    balancer_of,
    fail_in_a_row,
    new_events,
    reserve,
    sequence,
    serving,
)

# Failed answers


def test_answer_failed_three_in_a_row_eject() -> None:
    """The third failed answer in a row takes the predictor out, and says why."""
    balancer = balancer_of("ab")
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1)
    assert serving(balancer) == "ab"
    balancer.answer_failed("a", 2.0, "answered 502")
    assert serving(balancer) == "b"
    event = balancer.events[-1]
    assert event[:3] == (2.0, "ejected", "a")
    assert "3 failed answers" in event.reason
    assert "answered 502" in event.reason


def test_answered_in_between_resets_the_row() -> None:
    """A good answer ends the row: two, a good one, two do not eject."""
    balancer = balancer_of("ab")
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1)
    balancer.answered("a")
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1)
    assert serving(balancer) == "ab"
    assert (balancer.predictors["a"].served, balancer.predictors["a"].failed) == (1, 4)


def test_answer_failed_without_blame_never_ejects() -> None:
    """Failures that were the request's fault are counted and never eject, nor do they belong to a row."""
    balancer = balancer_of("ab")
    for _ in range(20):
        balancer.answer_failed("a", 0.0, "answered 500", blame=False)
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1)
    assert serving(balancer) == "ab"
    assert balancer.predictors["a"].failed == 22


def test_answer_failed_last_in_rotation_is_never_ejected() -> None:
    """The last predictor in rotation stays, whatever it answers."""
    balancer = balancer_of("ab")
    balancer.eject("b", 0.0, "no answer")
    fail_in_a_row(balancer, "a", 20)
    assert serving(balancer) == "a"


def test_answer_failed_last_active_with_a_standby_left_is_not_ejected() -> None:
    """A waiting standby is not in rotation: the only one that is stays."""
    balancer = balancer_of("a", "s")
    fail_in_a_row(balancer, "a", 20)
    assert serving(balancer) == "a"


def test_answer_failed_replaced_by_the_standby() -> None:
    """An active that is ejected for its answers is replaced like any other."""
    balancer = balancer_of("ab", "c")
    fail_in_a_row(balancer, "b", MAX_ERRORS)
    assert serving(balancer) == "ac"


# Leaving and coming back


def test_eject_twice_counts_once() -> None:
    """The return says whether it was up until now; a second report changes nothing."""
    balancer = balancer_of("ab")
    assert balancer.eject("a", 0.0, "connection refused")
    assert not balancer.eject("a", 1.0, "connection refused")
    assert new_events(balancer) == [("ejected", "a")]


def test_readmit_first_failure_returns_at_once() -> None:
    """A predictor that fails for the first time is back as soon as it is well."""
    balancer = balancer_of("ab")
    balancer.eject("a", 100.0, "connection refused")
    assert balancer.readmit("a", 100.5)
    assert serving(balancer) == "ab"
    assert new_events(balancer) == [("ejected", "a"), ("readmitted", "a")]


def test_readmit_one_that_is_up_changes_nothing() -> None:
    """Health checks that go on passing are no event."""
    balancer = balancer_of("ab", "s")
    assert balancer.readmit("a", 1.0)
    assert balancer.readmit("s", 1.0)
    assert new_events(balancer) == []


def test_readmit_flapping_waits_for_the_rest_of_the_hold_down() -> None:
    """Back at 10, failed again at 11: it waits until 15, a hold-down after it came back."""
    balancer = balancer_of("ab")
    balancer.eject("a", 9.0, "connection refused")
    balancer.readmit("a", 10.0)
    balancer.eject("a", 11.0, "connection refused")
    assert not balancer.readmit("a", 14.9)
    assert serving(balancer) == "b"
    assert balancer.readmit("a", 15.0)
    assert serving(balancer) == "ab"


def test_readmit_flapping_is_taken_at_once_when_nobody_serves() -> None:
    """Better one that flaps than none."""
    balancer = balancer_of("ab")
    balancer.eject("a", 9.0, "connection refused")
    balancer.readmit("a", 10.0)
    balancer.eject("a", 11.0, "connection refused")
    balancer.eject("b", 11.0, "connection refused")
    assert balancer.readmit("a", 11.5)
    assert serving(balancer) == "a"


def test_readmit_after_failed_answers_waits_for_the_hold_down() -> None:
    """Probes cannot see why it answered 5xx: it stays out for a hold-down from then on."""
    balancer = balancer_of("ab")
    fail_in_a_row(balancer, "a", MAX_ERRORS, now=20.0)
    assert not balancer.readmit("a", 24.9)
    assert balancer.readmit("a", 25.0)


def test_readmit_standby_waits_outside() -> None:
    """A standby that recovers is ready again, not in rotation."""
    balancer = balancer_of("ab", "s")
    balancer.eject("s", 0.0, "connection refused")
    assert balancer.predictors["s"].state == "down"
    balancer.readmit("s", 1.0)
    assert balancer.predictors["s"].state == "standby"
    assert new_events(balancer) == [("failed", "s"), ("recovered", "s")]


def test_readmit_clears_the_row_of_failures() -> None:
    """One that comes back starts with no failures."""
    balancer = balancer_of("ab")
    fail_in_a_row(balancer, "a", MAX_ERRORS)
    balancer.readmit("a", 10.0)
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1, now=10.0)
    assert serving(balancer) == "ab"


# Drain and ready


def test_drain_lets_requests_in_flight_end() -> None:
    """A drained predictor gets nothing new; its state says when the last request has ended."""
    balancer = balancer_of("ab")
    slots = reserve(balancer, 2)
    balancer.drain("a", 0.0)
    assert balancer.predictors["a"].state == "draining"
    assert sequence(balancer, 3) == "bbb"
    balancer.release(slots[0], 1.0)
    assert balancer.predictors["a"].state == "drained"


def test_ready_puts_it_back_at_once() -> None:
    """Ready returns a healthy predictor to rotation; the standby steps back after the hold-down."""
    balancer = balancer_of("ab", "c")
    balancer.drain("a", 0.0)
    balancer.ready("a", 30.0)
    assert serving(balancer) == "abc"
    balancer.tick(35.0)
    assert serving(balancer) == "ab"
    assert new_events(balancer) == [("drained", "a"), ("promoted", "c"), ("ready", "a"), ("demoted", "c")]


def test_ready_one_that_is_down_waits_for_its_health() -> None:
    """Ready does not overrule the health checks."""
    balancer = balancer_of("ab")
    balancer.drain("a", 0.0)
    balancer.eject("a", 1.0, "connection refused")
    balancer.ready("a", 2.0)
    assert serving(balancer) == "b"
    balancer.readmit("a", 3.0)
    assert serving(balancer) == "ab"


def test_readmit_drained_predictor_stays_out() -> None:
    """Health checks do not overrule the operator."""
    balancer = balancer_of("ab")
    balancer.drain("a", 0.0)
    balancer.eject("a", 1.0, "connection refused")
    assert balancer.readmit("a", 2.0)
    assert (serving(balancer), balancer.predictors["a"].state) == ("b", "drained")
    balancer.ready("a", 3.0)
    assert serving(balancer) == "ab"


def test_drain_and_ready_twice_change_nothing() -> None:
    """An order that is already carried out is no event."""
    balancer = balancer_of("ab")
    balancer.ready("a", 0.0)
    balancer.drain("a", 1.0)
    balancer.drain("a", 2.0)
    balancer.ready("a", 3.0)
    balancer.ready("a", 4.0)
    assert new_events(balancer) == [("drained", "a"), ("ready", "a")]


def test_drain_standby_is_not_promoted_until_ready() -> None:
    """A drained standby stands in for nobody; ready lets it."""
    balancer = balancer_of("ab", "s")
    balancer.drain("s", 0.0)
    balancer.eject("a", 1.0, "no answer")
    assert serving(balancer) == "b"
    balancer.ready("s", 2.0)
    assert serving(balancer) == "bs"


def test_drain_promoted_standby_promotes_the_next() -> None:
    """A standby that stands in and is drained is replaced like any other."""
    balancer = balancer_of("a", "st")
    balancer.eject("a", 0.0, "no answer")
    balancer.drain("s", 1.0)
    assert serving(balancer) == "t"


def test_drain_all_leaves_nobody_and_says_down() -> None:
    """Whom the operator has taken out serves nobody, not even as the last."""
    balancer = balancer_of("ab")
    balancer.drain("a", 0.0)
    balancer.drain("b", 0.0)
    with pytest.raises(DownError):
        balancer.choose(0.0)


@pytest.mark.parametrize("order", ["drain", "ready"])
def test_drain_and_ready_unknown_name_raises(order: str) -> None:
    """An unknown name is a KeyError."""
    with pytest.raises(KeyError):
        getattr(balancer_of("a"), order)("x", 0.0)


# Events and states


def test_events_of_a_failover_tell_time_and_reason() -> None:
    """Every change says when, what, who and why, oldest first."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 1.0, "connection refused")
    balancer.readmit("a", 2.0)
    balancer.tick(7.0)
    assert list(balancer.events) == [
        (1.0, "ejected", "a", "connection refused"),
        (1.0, "promoted", "c", "a is down"),
        (2.0, "readmitted", "a", "health checks pass"),
        (7.0, "demoted", "c", "all actives are back"),
    ]


def test_pop_new_events_gives_each_once() -> None:
    """An event is fresh once; the history keeps it."""
    balancer = balancer_of("ab")
    balancer.drain("a", 0.0)
    assert new_events(balancer) == [("drained", "a")]
    assert new_events(balancer) == []
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
