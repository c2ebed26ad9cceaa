"""The balancer's rules: when a standby is promoted, and when it steps back."""

import pytest

from routing.balancer import SaturatedError
from tests.unit.routing.balancers import (
    balancer_of,
    names,
    new_events,
    release_all,
    reserve,
    sequence,
    serving,
)

# Promotion


def test_promote_21st_request_is_served_by_the_standby() -> None:
    """Two actives full: the request that found it so promotes the standby and is served by it."""
    balancer = balancer_of("ab", "c")
    assert set(names(reserve(balancer, 20))) == {"a", "b"}
    assert new_events(balancer) == []
    assert balancer.choose(1.0).predictor.name == "c"
    assert balancer.events[-1] == (1.0, "promoted", "c", "every predictor in rotation is at capacity")


def test_promote_standby_full_too_refuses_the_31st() -> None:
    """The promoted standby is filled like any other, then requests are refused."""
    balancer = balancer_of("ab", "c")
    assert names(reserve(balancer, 30))[20:] == "c" * 10
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)


def test_promote_several_for_saturation_one_per_need() -> None:
    """Standbys come one at a time, in file order, each only when all before it are full."""
    balancer = balancer_of("a", "stu", capacity=2)
    assert names(reserve(balancer, 8)) == "aassttuu"


@pytest.mark.parametrize("take_out", ["eject", "drain"])
def test_promote_active_out_replaces_it(take_out: str) -> None:
    """An active predictor that is ejected or drained is replaced at once."""
    balancer = balancer_of("ab", "c")
    if take_out == "eject":
        balancer.eject("a", 3.0, "connection refused")
    else:
        balancer.drain("a", 3.0)
    assert serving(balancer) == "bc"
    assert new_events(balancer) == [("ejected" if take_out == "eject" else "drained", "a"), ("promoted", "c")]


def test_promote_per_missing_active_in_file_order() -> None:
    """Each missing active promotes one standby, the first that is free, and no more."""
    balancer = balancer_of("abc", "stu")
    balancer.eject("b", 0.0, "no answer")
    assert serving(balancer) == "acs"
    balancer.eject("a", 0.1, "no answer")
    assert serving(balancer) == "cst"


def test_promote_standby_fails_next_takes_its_place() -> None:
    """A promoted standby that fails is itself replaced, at once."""
    balancer = balancer_of("a", "st")
    balancer.eject("a", 0.0, "no answer")
    balancer.eject("s", 0.1, "no answer")
    assert serving(balancer) == "t"
    assert new_events(balancer) == [("ejected", "a"), ("promoted", "s"), ("ejected", "s"), ("promoted", "t")]


def test_promote_standby_down_is_passed_over() -> None:
    """A standby that is down or drained is not promoted; the next one is."""
    balancer = balancer_of("ab", "stu")
    balancer.eject("s", 0.0, "no answer")
    balancer.drain("t", 0.0)
    balancer.eject("a", 1.0, "no answer")
    assert serving(balancer) == "bu"


def test_promote_standby_recovers_fills_the_open_need() -> None:
    """An active is missing and no standby is up: the first to recover is promoted then."""
    balancer = balancer_of("ab", "s")
    balancer.eject("s", 0.0, "no answer")
    balancer.eject("a", 1.0, "no answer")
    assert serving(balancer) == "b"
    balancer.readmit("s", 2.0)
    assert serving(balancer) == "bs"


def test_promote_standby_recovers_reason_names_every_missing_active() -> None:
    """Who reads the event learns whom the standby stands in for, and whether an operator took that one out."""
    balancer = balancer_of("abc", "s")
    balancer.eject("s", 0.0, "no answer")
    balancer.eject("a", 1.0, "no answer")
    balancer.drain("c", 1.0)
    balancer.readmit("s", 2.0)
    assert balancer.events[-1].reason == "a is down, c is drained"


def test_promote_saturation_standby_then_counts_as_the_replacement() -> None:
    """A standby promoted for saturation stands in for an active that fails later: no second one is promoted."""
    balancer = balancer_of("ab", "st", capacity=1)
    reserve(balancer, 3)
    balancer.eject("a", 1.0, "no answer")
    assert serving(balancer) == "bs"


def test_promote_for_a_resend_stays_for_the_hold_down() -> None:
    """A standby that came for one request only, at low load, still stays for the hold-down: no flapping."""
    balancer = balancer_of("a", "s")
    balancer.release(balancer.choose(10.0, ["a"]), 10.0)
    assert serving(balancer) == "as"
    balancer.tick(14.9)
    assert serving(balancer) == "as"
    balancer.tick(15.0)
    assert serving(balancer) == "a"


def test_eject_standby_not_promoted_promotes_nobody() -> None:
    """A standby that fails before it is needed creates no need."""
    balancer = balancer_of("ab", "st")
    balancer.eject("s", 0.0, "no answer")
    assert serving(balancer) == "ab"
    assert new_events(balancer) == [("failed", "s")]


# Failback


def test_failback_active_back_standby_steps_back_after_the_hold_down() -> None:
    """All actives are back: the standby stays for the hold-down, then steps back."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 10.0, "no answer")
    balancer.readmit("a", 12.0)
    balancer.tick(16.9)
    assert serving(balancer) == "abc"
    balancer.tick(17.0)
    assert serving(balancer) == "ab"
    assert balancer.events[-1].event == "demoted"


def test_failback_after_a_long_outage_waits_for_the_hold_down_too() -> None:
    """However long the active was away, and however low the load: it must be back for the hold-down."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 10.0, "no answer")
    balancer.tick(50.0)
    balancer.readmit("a", 100.0)
    balancer.tick(104.9)
    assert serving(balancer) == "abc"
    balancer.tick(105.0)
    assert serving(balancer) == "ab"


def test_failback_active_fails_again_starts_the_hold_down_anew() -> None:
    """The hold-down counts from the last return of the last missing active."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 10.0, "no answer")
    balancer.readmit("a", 12.0)
    balancer.eject("b", 16.0, "no answer")
    balancer.readmit("b", 18.0)
    balancer.tick(22.9)
    assert serving(balancer) == "abc"
    balancer.tick(23.0)
    assert serving(balancer) == "ab"


def test_failback_while_an_active_is_missing_keeps_its_replacement() -> None:
    """The replacement stays as long as the active is away, at no load at all."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 0.0, "no answer")
    for now in range(1, 100):
        balancer.tick(float(now))
    assert serving(balancer) == "bc"


def test_failback_actives_full_keeps_the_standby() -> None:
    """The standby is not sent away while the load would not fit into the actives; it goes as soon as it does."""
    balancer = balancer_of("ab", "c", capacity=2)
    balancer.eject("a", 0.0, "no answer")
    slots = reserve(balancer, 4)
    balancer.readmit("a", 1.0)
    slots += reserve(balancer, 2, 1.0)
    balancer.tick(20.0)
    assert serving(balancer) == "abc"
    release_all(balancer, slots[:3], 21.0)
    balancer.tick(21.0)
    assert serving(balancer) == "ab"


def test_failback_saturation_over_steps_back_after_the_hold_down() -> None:
    """Load at half of the actives' capacity for the hold-down: the standby steps back."""
    balancer = balancer_of("ab", "c")
    slots = reserve(balancer, 21)
    release_all(balancer, slots[10:], 8.0)
    balancer.tick(12.9)
    assert serving(balancer) == "abc"
    balancer.tick(13.0)
    assert serving(balancer) == "ab"
    assert new_events(balancer) == [("promoted", "c"), ("demoted", "c")]


def test_failback_load_above_half_keeps_the_standby() -> None:
    """One request above half of the actives' capacity keeps it."""
    balancer = balancer_of("ab", "c")
    release_all(balancer, reserve(balancer, 21)[11:], 8.0)
    balancer.tick(100.0)
    assert serving(balancer) == "abc"


def test_failback_load_rises_in_between_starts_the_hold_down_anew() -> None:
    """The low load must last: one moment above half and the hold-down starts again."""
    balancer = balancer_of("ab", "c")
    slots = reserve(balancer, 21)
    release_all(balancer, slots[10:], 8.0)
    balancer.release(balancer.choose(12.0), 12.0)
    balancer.tick(16.9)
    assert serving(balancer) == "abc"
    balancer.tick(17.0)
    assert serving(balancer) == "ab"


def test_failback_short_burst_keeps_the_standby_for_the_hold_down() -> None:
    """A saturation that is over at once: the standby's role still changes only once per hold-down."""
    balancer = balancer_of("ab", "c")
    release_all(balancer, reserve(balancer, 21, 10.0), 10.1)
    balancer.tick(15.0)
    assert serving(balancer) == "abc"
    balancer.tick(15.1)
    assert serving(balancer) == "ab"


def test_failback_surplus_of_saturation_goes_while_an_active_is_missing() -> None:
    """The standby that came for the load steps back; the one that stands in for a failure stays."""
    balancer = balancer_of("ab", "st", capacity=2)
    balancer.eject("a", 0.0, "no answer")
    slots = reserve(balancer, 5)
    assert serving(balancer) == "bst"
    release_all(balancer, slots, 1.0)
    balancer.tick(6.0)
    assert serving(balancer) == "bs"


def test_failback_in_flight_requests_end_at_the_standby() -> None:
    """A standby that steps back takes nothing new and keeps what it has until it ends."""
    balancer = balancer_of("ab", "c", capacity=2)
    slots = reserve(balancer, 5)
    assert slots[-1].predictor.name == "c"
    release_all(balancer, slots[:4], 1.0)
    balancer.tick(6.0)
    standby = balancer.predictors["c"]
    assert (serving(balancer), standby.state, standby.load) == ("ab", "standby", 1)
    assert sequence(balancer, 4, 6.0) == "abab"
    balancer.release(slots[-1], 7.0)
    assert standby.load == 0


def test_role_change_within_the_hold_down_is_not_made_for_saturation() -> None:
    """A standby that has just stepped back is not promoted again for load: the request is refused."""
    balancer = balancer_of("a", "s", capacity=2)
    release_all(balancer, reserve(balancer, 3), 1.0)
    balancer.tick(6.0)
    reserve(balancer, 2, 7.0)
    assert not balancer.has_free_slot(10.9)
    with pytest.raises(SaturatedError):
        balancer.choose(10.9)
    assert balancer.choose(11.0).predictor.name == "s"


def test_role_change_within_the_hold_down_is_made_to_replace_a_failure() -> None:
    """A standby that has just stepped back is promoted at once when an active fails."""
    balancer = balancer_of("ab", "s", capacity=2)
    release_all(balancer, reserve(balancer, 5), 1.0)
    balancer.tick(6.0)
    assert serving(balancer) == "ab"
    balancer.eject("a", 6.1, "no answer")
    assert serving(balancer) == "bs"
