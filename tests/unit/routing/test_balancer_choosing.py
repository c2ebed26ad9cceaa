"""The balancer's rules: who gets the next request, and what a slot is."""

from pathlib import Path

import pytest

from routing.balancer import Balancer, DownError, SaturatedError
from routing.topology import Entry, Role, Topology
from tests.unit.routing.balancers import (
    balancer_of,
    names,
    release_all,
    reserve,
    sequence,
    serving,
)

# Choosing


def test_choose_idle_pool_goes_round_robin() -> None:
    """One after the other on an idle pool, requests go a, b, c, a."""
    assert sequence(balancer_of("abc"), 7) == "abcabca"


def test_choose_held_open_spreads_evenly() -> None:
    """30 requests held open spread 10/10/10, turn by turn."""
    assert names(reserve(balancer_of("abc"), 30)) == "abc" * 10


def test_choose_unequal_loads_takes_the_lowest() -> None:
    """The predictor with the lowest load gets the next request, whoever was chosen last."""
    balancer = balancer_of("abc")
    slots = reserve(balancer, 6)
    release_all(balancer, [slots[1], slots[4]], 0.0)
    assert names(reserve(balancer, 2)) == "bb"


def test_choose_equal_loads_takes_the_longest_unchosen() -> None:
    """Among equals the one whose last request is longest ago is next, not the one that came free first."""
    balancer = balancer_of("abc")
    first, second, third = reserve(balancer, 3)
    release_all(balancer, [third, second, first], 0.0)
    assert sequence(balancer, 3) == "abc"


def test_choose_one_at_capacity_passes_it_over() -> None:
    """A predictor at its capacity gets nothing, though others are as full as it."""
    entries = (Entry("a", "h", 1, 1, Role.ACTIVE), Entry("b", "h", 2, 3, Role.ACTIVE))
    balancer = Balancer(Topology("test", Path("test.json"), entries, {}, "{}"), 0.0)
    assert names(reserve(balancer, 4)) == "abbb"
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)


def test_choose_with_tried_passes_them_over() -> None:
    """A request does not go again to a predictor that it has tried; the others keep their order."""
    balancer = balancer_of("abc")
    assert balancer.choose(0.0, ["a"]).predictor.name == "b"
    assert balancer.choose(0.0, ["a", "b"]).predictor.name == "c"
    assert balancer.choose(0.0).predictor.name == "a"


def test_choose_all_tried_is_refused() -> None:
    """A request that has been everywhere is refused; others are still placed."""
    balancer = balancer_of("ab")
    with pytest.raises(DownError):
        balancer.choose(0.0, ["a", "b"])
    assert sequence(balancer, 2) == "ab"


def test_choose_31st_of_30_slots_is_refused_as_saturated() -> None:
    """With every slot taken the next request is refused, and no counter moves."""
    balancer = balancer_of("abc")
    reserve(balancer, 30)
    with pytest.raises(SaturatedError) as refused:
        balancer.choose(0.0)
    assert refused.value.reason == "saturated"
    assert [p.load for p in balancer.predictors.values()] == [10, 10, 10]


def test_choose_after_one_slot_came_back_is_placed_there() -> None:
    """As soon as one request of a full pool is answered the next one is accepted."""
    balancer = balancer_of("abc")
    slots = reserve(balancer, 30)
    balancer.release(slots[13], 0.0)
    assert balancer.choose(0.0).predictor.name == slots[13].predictor.name


def test_choose_nobody_up_is_refused_as_down() -> None:
    """Without a predictor that is up the refusal says down."""
    balancer = balancer_of("ab", "c")
    for name in "abc":
        balancer.eject(name, 0.0, "connection refused")
    with pytest.raises(DownError) as refused:
        balancer.choose(0.0)
    assert refused.value.reason == "down"


@pytest.mark.parametrize(
    ("drained", "said"), [("", "no predictor is up"), ("b", "down or drained"), ("ab", "is drained")]
)
def test_choose_nobody_available_says_whether_that_is_the_operators_doing(drained: str, said: str) -> None:
    """A healthy predictor that an operator drained is not called down."""
    balancer = balancer_of("ab")
    for name in "ab":
        if name in drained:
            balancer.drain(name, 0.0)
        else:
            balancer.eject(name, 0.0, "connection refused")
    with pytest.raises(DownError, match=said) as refused:
        balancer.choose(0.0)
    assert refused.value.reason == "down"


def test_choose_one_down_rest_full_is_refused_as_saturated() -> None:
    """While one predictor is up but full, the refusal says saturated."""
    balancer = balancer_of("ab", capacity=1)
    balancer.eject("a", 0.0, "connection refused")
    reserve(balancer, 1)
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)


def test_choose_rejoined_predictor_shares_by_load() -> None:
    """One that comes back empty gets the next requests until it has as many as the others."""
    balancer = balancer_of("ab")
    balancer.eject("a", 0.0, "connection refused")
    reserve(balancer, 3)
    balancer.readmit("a", 1.0)
    assert names(reserve(balancer, 5, 1.0)) == "aaaba"


# Slots


def test_release_twice_raises() -> None:
    """A slot is given back exactly once: a second time is a defect, and counts nothing."""
    balancer = balancer_of("a")
    first, _ = reserve(balancer, 2)
    balancer.release(first, 0.0)
    with pytest.raises(RuntimeError, match="a was released twice"):
        balancer.release(first, 0.0)
    assert balancer.predictors["a"].load == 1


def test_release_after_eject_counts_down() -> None:
    """A request that was at a predictor when it left goes on counting until it ends."""
    balancer = balancer_of("ab")
    slots = reserve(balancer, 2)
    balancer.eject("a", 0.0, "no answer")
    assert balancer.predictors["a"].load == 1
    release_all(balancer, slots, 0.0)
    assert [p.load for p in balancer.predictors.values()] == [0, 0]


def test_release_after_rejoin_keeps_the_count() -> None:
    """A slot from before an outage still counts after it: capacity is never exceeded."""
    balancer = balancer_of("a", capacity=2)
    old = reserve(balancer, 2)
    balancer.eject("a", 0.0, "no answer")
    balancer.readmit("a", 1.0)
    with pytest.raises(SaturatedError):
        balancer.choose(1.0)
    balancer.release(old[0], 1.0)
    assert balancer.choose(1.0).predictor.load == 2


def test_peak_load_remembers_the_most_in_flight() -> None:
    """The peak stays when the load falls."""
    balancer = balancer_of("a")
    release_all(balancer, reserve(balancer, 7), 0.0)
    assert (balancer.predictors["a"].load, balancer.predictors["a"].peak_load) == (0, 7)


def test_reserve_at_full_predictor_counts_beyond_capacity() -> None:
    """A request already on its way somewhere is counted there, even over capacity and out of rotation."""
    balancer = balancer_of("a", "s", capacity=1)
    held = [balancer.reserve_at("a", 0.0), balancer.reserve_at("a", 0.0), balancer.reserve_at("s", 0.0)]
    assert [p.load for p in balancer.predictors.values()] == [2, 1]
    assert serving(balancer) == "a"
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)
    release_all(balancer, held, 0.0)
    assert [p.load for p in balancer.predictors.values()] == [0, 0]
    assert balancer.choose(0.0).predictor.name == "a"


def test_has_free_slot_says_whether_choose_would_place() -> None:
    """Room is a free slot in rotation, or a standby that may be promoted; asking promotes nobody."""
    balancer = balancer_of("a", "s", capacity=1)
    reserve(balancer, 1)
    assert balancer.has_free_slot(0.0)
    assert serving(balancer) == "a"
    reserve(balancer, 1)
    assert not balancer.has_free_slot(0.0)


def test_has_free_slot_with_all_tried_is_false() -> None:
    """There is no room for a request that has been everywhere."""
    balancer = balancer_of("ab")
    assert balancer.has_free_slot(0.0, ["a"])
    assert not balancer.has_free_slot(0.0, ["a", "b"])
