"""The balancer's rules for cold standbys: when one is wanted, when that ends, and what its process does meanwhile."""

import pytest

from tests.unit.routing.balancers import new_events, play, serving, states

STATES = {
    "not running and not needed": ("ab+C", "0 nothing C", "cold", ""),
    "an active is down": ("ab+C", "0 eject a", "wanted", "ejected a, wanted C"),
    "an active is drained": ("ab+C", "0 drain a", "wanted", "drained a, wanted C"),
    "its process loads": ("ab+C", "0 eject a, 1 loading C", "loading", "ejected a, wanted C"),
    "it is silent while it loads": (
        "ab+C", "0 eject a, 1 loading C, 2 eject C, 3 eject C", "loading", "ejected a, wanted C"
    ),
    "it serves at once when it is up": (
        "ab+C", "0 eject a, 1 loading C, 2 readmit C -> bC", "serving", "ejected a, wanted C, started C, promoted C"
    ),
    "its process ends while it loads": (
        "ab+C", "0 eject a, 1 loading C, 2 nothing C", "wanted", "ejected a, wanted C"
    ),
    "the need ends before it is up": (
        "ab+C", "0 eject a, 1 readmit a", "cold", "ejected a, wanted C, readmitted a, unwanted C"
    ),
    "the need ends while it loads": (
        "ab+C", "0 eject a, 1 loading C, 2 readmit a, 3 readmit C -> ab", "standby",
        "ejected a, wanted C, readmitted a, unwanted C, started C",
    ),
    "started without need": ("ab+C", "0 loading C, 1 readmit C -> ab", "standby", "started C"),
    "running, it is promoted at once": (
        "ab+C", "0 readmit C, 1 eject a -> bC", "serving", "started C, ejected a, promoted C"
    ),
    "its process ends while it waits": ("ab+C", "0 readmit C, 1 nothing C", "cold", "started C, ended C"),
    "it steps back and waits": (
        "ab+C", "0 eject a, 1 readmit C, 6 readmit a, 11 tick -> ab", "standby",
        "ejected a, wanted C, started C, promoted C, readmitted a, demoted C",
    ),
    "it is killed while it serves": (
        "ab+C", "0 eject a, 1 readmit C, 7 nothing C -> b", "wanted",
        "ejected a, wanted C, started C, promoted C, ejected C, wanted C",
    ),
    "it fails while it serves, and its process runs": (
        "ab+C", "0 eject a, 1 readmit C, 7 eject C -> b", "down",
        "ejected a, wanted C, started C, promoted C, ejected C",
    ),
    "it failed, and ends later": (
        "ab+C", "0 eject a, 1 readmit C, 7 eject C, 8 nothing C -> b", "wanted",
        "ejected a, wanted C, started C, promoted C, ejected C, wanted C",
    ),
    "it failed, and is well again": (
        "ab+C", "0 eject a, 1 readmit C, 7 eject C, 8 readmit C -> bC", "serving",
        "ejected a, wanted C, started C, promoted C, ejected C, recovered C, promoted C",
    ),
    "it hangs while it waits": ("ab+C", "0 readmit C, 1 eject C", "down", "started C, failed C"),
    "another program answers there": (
        "ab+C", "0 eject a, 1 wrong C, 2 wrong C", "down", "ejected a, wanted C, failed C"
    ),
    "the other program is gone": (
        "ab+C", "0 eject a, 1 wrong C, 2 nothing C", "wanted", "ejected a, wanted C, failed C, wanted C"
    ),
    "it is silent before it is up": ("ab+C", "0 eject a, 1 eject C", "wanted", "ejected a, wanted C"),
    "an operator keeps it out": ("ab+C", "0 drain C, 1 eject a", "drained", "drained C, ejected a"),
    "an operator takes it out while it is wanted, and puts it back": (
        "ab+C", "0 eject a, 1 drain C, 2 ready C", "wanted", "ejected a, wanted C, drained C, ready C, wanted C"
    ),
    "a warm one goes first": ("ab+Cs", "0 eject a -> bs", "cold serving", "ejected a, promoted s"),
    "no warm one is left": ("abc+sC", "0 eject a, 1 eject b -> cs", "serving wanted",
                            "ejected a, promoted s, ejected b, wanted C"),
    "a warm one recovers before it is up": (
        "ab+sC", "0 eject s, 1 eject a, 2 readmit s -> bs", "serving cold",
        "failed s, ejected a, wanted C, recovered s, promoted s, unwanted C",
    ),
    "one for each need, in file order": (
        "abc+CD", "0 eject a, 1 eject b", "wanted wanted", "ejected a, wanted C, ejected b, wanted D"
    ),
    "one need needs one": (
        "abc+CD", "0 eject a, 1 readmit D -> bcD", "cold serving",
        "ejected a, wanted C, started D, promoted D, unwanted C",
    ),
    "the last to be wanted goes first": (
        "abc+CD", "0 eject a, 1 eject b, 2 readmit a", "wanted cold",
        "ejected a, wanted C, ejected b, wanted D, readmitted a, unwanted D",
    ),
}  # fmt: skip
SATURATION = {
    "a request is refused as all are full": ("ab+C", "0 load 20, 1 refused", "wanted", "wanted C"),
    "all are full and none is refused": ("ab+C", "0 load 20", "cold", ""),
    "it is up while the load is high": (
        "ab+C", "0 load 20, 1 refused, 2 load 11, 3 readmit C -> abC", "serving", "wanted C, started C, promoted C"
    ),
    "half of the actives' capacity for the hold-down ends it": (
        "ab+C", "0 load 20, 1 refused, 2 load 10, 6.9 tick, 7 tick", "cold", "wanted C, unwanted C"
    ),
    "not before the hold-down is over": ("ab+C", "0 load 20, 1 refused, 2 load 10, 6.9 tick", "wanted", "wanted C"),
    "not above half": ("ab+C", "0 load 20, 1 refused, 2 load 11, 99 tick", "wanted", "wanted C"),
    "not while a warm one only rests": (
        "ab+sC", "0 load 21, 1 load 0, 6 tick -> ab, 7 load 20, 8 refused", "standby cold", "promoted s, demoted s"
    ),
    "it is full too: the next one": (
        "ab+CD", "0 load 20, 1 refused, 2 readmit C, 3 load 30, 4 refused", "serving wanted",
        "wanted C, started C, promoted C, wanted D",
    ),
    "a warm one steps back and could take the load": (
        "ab+sC", "0 eject a, 0 load 20, 1 refused, 2 readmit a, 3 load 15, 7 tick -> ab", "standby cold",
        "ejected a, promoted s, wanted C, readmitted a, demoted s, unwanted C",
    ),
    "a failure meanwhile wants no second one": (
        "ab+CD", "0 load 20, 1 refused, 2 eject a", "wanted cold", "wanted C, ejected a"
    ),
    "not promoted for the load within the hold-down": (
        "ab+C",
        "0 load 20, 1 refused, 2 readmit C, 3 load 0, 8 tick, 9 nothing C, 9 load 20, 10 refused, 11 readmit C -> ab",
        "standby", "wanted C, started C, promoted C, demoted C, ended C, wanted C, started C",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("pool", "script", "state", "events"), (STATES | SATURATION).values(), ids=list(STATES | SATURATION)
)
def test_cold_standby_is_wanted_as_long_as_it_is_needed(pool: str, script: str, state: str, events: str) -> None:
    """A cold standby is wanted only for a need that no other standby meets; that it does not run is no failure."""
    balancer = play(pool, script)
    assert (states(balancer), new_events(balancer)) == (state, events)


def test_cold_standby_events_tell_why_it_is_wanted_and_no_longer() -> None:
    """A want names the need as a promotion does; its end names what ended it."""
    events = play("ab+C", "0 eject a, 1 readmit a, 2 load 20, 3 refused, 4 load 0, 9 tick").events
    assert [(event.event, event.reason) for event in events if event.predictor == "C"] == [
        ("wanted", "a is down"),
        ("unwanted", "a is up"),
        ("wanted", "every predictor in rotation is at capacity"),
        ("unwanted", "the saturation is over"),
    ]


def test_cold_standby_that_does_not_run_takes_no_request() -> None:
    """Where all are down but for one that nobody has started, requests are refused as down."""
    balancer = play("a+C", "0 eject a")
    assert (serving(balancer), balancer.has_free_slot(1.0)) == ("", False)
    assert balancer.predictors["C"].failed == 0
