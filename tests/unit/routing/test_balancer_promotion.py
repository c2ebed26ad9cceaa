"""The balancer's rules: when a standby is promoted, and when it steps back."""

import pytest

from routing.refusals import SaturatedError
from tests.unit.routing.balancers import balancer_of, names, new_events, play, release_all, reserve, sequence, serving

PROMOTION = {
    "each missing active promotes one standby, in file order": (
        "abc+stu", 10, "0 eject b -> acs, 0.1 eject a -> cst"
    ),
    "a standby that is down or drained is passed over": ("ab+stu", 10, "0 eject s, 0 drain t, 1 eject a -> bu"),
    "the first standby to recover fills the open need": (
        "ab+s", 10, "0 eject s, 1 eject a -> b, 2 readmit s -> bs"
    ),
    "a standby that came for the load counts as the replacement": (
        "ab+st", 1, "0 load 3, 1 eject a -> bs, 1 load 0, 9 tick -> bs"
    ),
    "within the hold-down a role changes to replace a failure": (
        "ab+s", 2, "0 load 5, 1 load 0, 6 tick -> ab, 6.1 eject a -> bs"
    ),
}  # fmt: skip
FAILBACK = {
    "all actives back for the hold-down": (
        "ab+c", 10, "10 eject a, 12 readmit a, 16.9 tick -> abc, 17 tick -> ab"
    ),
    "after a long outage too": (
        "ab+c", 10, "10 eject a, 50 tick, 100 readmit a, 104.9 tick -> abc, 105 tick -> ab"
    ),
    "another failure starts the hold-down anew": (
        "ab+c", 10, "10 eject a, 12 readmit a, 16 eject b, 18 readmit b, 22.9 tick -> abc, 23 tick -> ab"
    ),
    "the replacement stays while its active is away, at no load": (
        "ab+c", 10, "0 eject a, " + ", ".join(f"{now} tick -> bc" for now in range(1, 100))
    ),
    "not while the load would not fit into the actives": (
        "ab+c", 2, "0 eject a, 0 load 4, 1 readmit a, 1 load 6, 20 tick -> abc, 21 load 3, 21 tick -> ab"
    ),
    "not above half of the actives' capacity": ("ab+c", 10, "0 load 21, 8 load 11, 100 tick -> abc"),
    "a moment above half starts the hold-down anew": (
        "ab+c", 10, "0 load 21, 8 load 10, 12 load 11, 12 load 10, 16.9 tick -> abc, 17 tick -> ab"
    ),
    "a short burst keeps the standby for the hold-down": (
        "ab+c", 10, "10 load 21, 10.1 load 0, 15 tick -> abc, 15.1 tick -> ab"
    ),
    "who came for the load goes, who replaces a failure stays": (
        "ab+st", 2, "0 eject a, 0 load 5 -> bst, 1 load 0, 6 tick -> bs"
    ),
}  # fmt: skip
EVENTS = {
    "an ejected active is replaced": ("ab+c", "3 eject a -> bc", "ejected a, promoted c"),
    "a drained active is replaced": ("ab+c", "3 drain a -> bc", "drained a, promoted c"),
    "a promoted standby that fails is replaced": (
        "a+st", "0 eject a, 0.1 eject s -> t", "ejected a, promoted s, ejected s, promoted t"
    ),
    "a standby that fails before it is needed creates no need": ("ab+st", "0 eject s -> ab", "failed s"),
    "load at half of the actives' capacity for the hold-down": (
        "ab+c", "0 load 21, 8 load 10, 12.9 tick -> abc, 13 tick -> ab", "promoted c, demoted c"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pool", "capacity", "script"), (PROMOTION | FAILBACK).values(), ids=PROMOTION | FAILBACK)
def test_rotation_of_standbys(pool: str, capacity: int, script: str) -> None:
    """A standby is in rotation exactly as long as it is needed, and for the hold-down at least."""
    play(pool, script, capacity)


@pytest.mark.parametrize(("pool", "script", "events"), EVENTS.values(), ids=EVENTS)
def test_events_of_standbys(pool: str, script: str, events: str) -> None:
    """Each change of role is one event, after that which caused it."""
    assert new_events(play(pool, script)) == events


def test_promote_21st_request_is_served_by_the_standby() -> None:
    """Two actives full: the request that found it so promotes the standby and is served by it."""
    balancer = balancer_of("ab", "c")
    assert set(names(reserve(balancer, 20))) == {"a", "b"}
    assert new_events(balancer) == ""
    assert balancer.choose(1.0).predictor.name == "c"
    assert balancer.events[-1] == (1.0, "promoted", "c", "every predictor in rotation is at capacity")
    assert names(reserve(balancer, 9)) == "c" * 9
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)


def test_promote_several_for_saturation_one_per_need() -> None:
    """Standbys come one at a time, in file order, each only when all before it are full."""
    assert names(reserve(balancer_of("a", "stu", capacity=2), 8)) == "aassttuu"


def test_promote_standby_recovers_reason_names_every_missing_active() -> None:
    """Who reads the event learns whom the standby stands in for, and whether an operator took that one out."""
    balancer = play("abc+s", "0 eject s, 1 eject a, 1 drain c, 2 readmit s")
    assert balancer.events[-1].reason == "a is down, c is drained"


def test_promote_for_a_resend_stays_for_the_hold_down() -> None:
    """A standby that came for one request only, at low load, still stays for the hold-down: no flapping."""
    balancer = balancer_of("a", "s")
    balancer.release(balancer.choose(10.0, ["a"]), 10.0)
    for now, rotation in ((10.0, "as"), (14.9, "as"), (15.0, "a")):
        balancer.tick(now)
        assert serving(balancer) == rotation


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
    balancer = play("a+s", "0 load 3, 1 load 0, 6 tick -> a, 7 load 2", capacity=2)
    assert not balancer.has_free_slot(10.9)
    with pytest.raises(SaturatedError):
        balancer.choose(10.9)
    assert balancer.choose(11.0).predictor.name == "s"
