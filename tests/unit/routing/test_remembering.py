"""What a balancer and counters leave for those of the next router, and how these go on."""

import json
from typing import Any

import pytest

from routing.counters import Counters
from routing.memory import difference
from tests.unit.routing.balancers import balancer_of, play


@pytest.mark.parametrize(
    ("pool", "script"),
    [
        ("ab+s", "1 answered a, 2 drain a -> bs"),
        ("ab+s", "1 eject a -> bs, 2 readmit a -> abs"),
        ("ab+st", "1 eject s, 2 eject a -> bt, 3 readmit s -> bt"),
        ("a+s", "0 load 11 -> as, 1 load 0"),
        ("a+S", "1 nothing S, 2 eject a, 3 loading S"),
        ("a+S", "1 nothing S, 2 load 10, 3 refused"),
        ("a+S", "1 readmit S, 2 eject a -> S, 3 wrong S"),
        ("ab+s", "1 drain a, 2 drain b, 3 drain s"),
    ],
    ids=["drained", "back", "second standby", "saturated", "loading", "wanted", "cold down", "all drained"],
)
def test_balancer_that_recalls_goes_on_as_the_one_before(pool: str, script: str) -> None:
    """Who is in rotation, and what it is in, are the same; nothing is told again; and what is told of it, too."""
    before = play(pool, script)
    told = json.loads(json.dumps(before.remember()))
    after = balancer_of(*pool.split("+"))
    after.recall(told, 4.0)
    assert after.pop_new_events() == []
    states = [
        [(p.state, p.in_rotation, p.promoted_for, p.served, p.wanted, p.unwell) for p in each.predictors.values()]
        for each in (before, after)
    ]
    assert states[0] == states[1]
    assert json.loads(json.dumps(after.remember())) == told


def test_balancer_that_recalls_holds_the_hold_down_to_its_end() -> None:
    """A standby that was promoted 3 s ago steps back 2 s later, not a hold-down after the new router's start."""
    before = play("a+s", "0 load 11 -> as, 1 load 0")
    after = balancer_of("a", "s")
    after.recall(before.remember(), 3.0)
    after._low_load_since_s = 0.0
    after.tick(4.9)
    assert [event.event for event in after.pop_new_events()] == []
    after.tick(5.01)
    assert [event.event for event in after.pop_new_events()] == ["demoted"]


def test_balancer_recalls_what_it_knows_and_promotes_for_what_is_new() -> None:
    """The plan may have been edited since, or the text be of another version."""
    told: dict[str, Any] = {"drained": ["a", "z", 7], "promoted": ["s"], "predictors": {"b": {"up": "yes"}, "a": 3}}
    balancer = balancer_of("ab", "s")
    balancer.recall(told, 0.0)
    assert [(event.event, event.predictor, event.reason) for event in balancer.pop_new_events()] == [
        ("promoted", "s", "a is drained")
    ]


@pytest.mark.parametrize("told", [{}, {"predictors": []}, {"promoted": 1, "drained": {}, "saturated_at": "x"}])
def test_balancer_recalls_nothing_of_what_is_no_memory(told: dict[str, Any]) -> None:
    """It begins as by plan."""
    balancer = balancer_of("a", "s")
    balancer.recall(told, 0.0)
    assert balancer.pop_new_events() == []
    assert [p.in_rotation for p in balancer.predictors.values()] == [True, False]


def test_counters_add_what_others_counted() -> None:
    """As a router's do that goes on where another was killed; what is not as it should be adds nothing."""
    before, after = Counters(), Counters()
    for counters in (before, after):
        counters.count_answer("a", 200, 0.3)
        counters.events["a", "ejected"] += 1
        counters.refused["down"] += 1
        counters.resends["a"] += 1
    after.add(json.loads(json.dumps(before.remember())))
    assert (after.answers["a", "200"], after.events["a", "ejected"]) == (2, 2)
    assert (after.refused["down"], after.resends["a"]) == (2, 2)
    assert after.latency
    assert (sum(after.latency.counts), after.latency.sum_s) == (2, 0.6)
    told = after.remember()
    for broken in (None, [], {"answers": 1, "latency": {"counts": [1], "sum_s": 1.0}, "refused": {"down": "1"}}):
        after.add(broken)
    assert after.remember() == told


def test_difference_is_what_was_counted_in_between() -> None:
    """Of objects in objects and of histograms; what is no count is left out."""
    before = {"answers": {"a": {"200": 2}}, "latency": {"counts": [1, 0], "sum_s": 0.5}, "up": True}
    now = {
        "answers": {"a": {"200": 2, "503": 1}, "b": {"200": 3}},
        "latency": {"counts": [1, 2], "sum_s": 1.5},
        "up": True,
    }
    assert difference(now, before) == {
        "answers": {"a": {"503": 1}, "b": {"200": 3}},
        "latency": {"counts": [0, 2], "sum_s": 1.0},
    }
