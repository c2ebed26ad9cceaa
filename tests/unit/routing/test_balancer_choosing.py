"""The balancer's rules: who gets the next request, and what a slot is."""

from pathlib import Path

import pytest

from routing.balancer import Balancer
from routing.refusals import DownError, RefusedError, SaturatedError
from routing.topology import Entry, Role, Topology
from tests.unit.routing.balancers import balancer_of, loads, names, play, release_all, reserve, sequence, serving

# Choosing


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
    assert [balancer.choose(0.0, tried).predictor.name for tried in ("a", "ab", "")] == ["b", "c", "a"]


def test_choose_all_tried_is_refused() -> None:
    """A request that has been everywhere is refused; others are still placed."""
    balancer = balancer_of("ab")
    with pytest.raises(DownError):
        balancer.choose(0.0, ["a", "b"])
    assert sequence(balancer, 2) == "ab"


def test_choose_held_open_spreads_evenly_and_a_freed_slot_is_the_next() -> None:
    """30 requests held open spread 10/10/10, turn by turn; the slot of the first that is answered is taken again."""
    balancer = balancer_of("abc")
    slots = reserve(balancer, 30)
    assert names(slots) == "abc" * 10
    balancer.release(slots[13], 0.0)
    assert balancer.choose(0.0).predictor.name == slots[13].predictor.name


@pytest.mark.parametrize(
    ("pool", "script", "error", "reason", "said"),
    [
        ("abc", "0 load 30", SaturatedError, "saturated", "at capacity"),
        ("ab", "0 eject a, 0 load 10", SaturatedError, "saturated", "at capacity"),
        ("ab+c", "0 eject a, 0 eject b, 0 eject c", DownError, "down", "no predictor is up"),
        ("ab", "0 eject a, 0 drain b", DownError, "down", "down or drained"),
        ("ab", "0 drain a, 0 drain b", DownError, "down", "is drained"),
    ],
    ids=["all_full", "one_down_rest_full", "all_down", "down_or_drained", "all_drained"],
)
def test_choose_refused_says_why(pool: str, script: str, error: type[RefusedError], reason: str, said: str) -> None:
    """Full is told from down, and down from what the operator drained; a refusal moves no counter."""
    balancer = play(pool, script)
    before = loads(balancer)
    with pytest.raises(error, match=said) as refused:
        balancer.choose(0.0)
    assert (refused.value.reason, loads(balancer)) == (reason, before)


def test_choose_rejoined_predictor_shares_by_load() -> None:
    """One that comes back empty gets the next requests until it has as many as the others."""
    balancer = play("ab", "0 eject a, 0 load 3, 1 readmit a")
    assert names(reserve(balancer, 5, 1.0)) == "aaaba"


# Slots


def test_release_twice_raises() -> None:
    """A slot is given back exactly once: a second time is a defect, and counts nothing."""
    balancer = balancer_of("a")
    first, _ = reserve(balancer, 2)
    balancer.release(first, 0.0)
    with pytest.raises(RuntimeError, match="a was released twice"):
        balancer.release(first, 0.0)
    assert loads(balancer) == [1]


def test_release_after_eject_counts_down() -> None:
    """A request that was at a predictor when it left goes on counting until it ends."""
    balancer = balancer_of("ab")
    slots = reserve(balancer, 2)
    balancer.eject("a", 0.0, "no answer")
    assert loads(balancer) == [1, 1]
    release_all(balancer, slots, 0.0)
    assert loads(balancer) == [0, 0]


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
    predictor = play("a", "0 load 7, 0 load 0").predictors["a"]
    assert (predictor.load, predictor.peak_load) == (0, 7)


def test_reserve_at_full_predictor_counts_beyond_capacity() -> None:
    """A request already on its way somewhere is counted there, even over capacity and out of rotation."""
    balancer = balancer_of("a", "s", capacity=1)
    held = [balancer.reserve_at(name, 0.0) for name in "aas"]
    assert (loads(balancer), serving(balancer)) == ([2, 1], "a")
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)
    release_all(balancer, held, 0.0)
    assert loads(balancer) == [0, 0]
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
